// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Finds out whether somebody accepts connections at an address. Daemon implements it; Discovery opens no sockets.
package protocol Prober: Sendable {
    /// - Parameters:
    ///   - endpoint: one that the target policy allows.
    ///   - limit: how long a connect may take.
    /// - Returns: whether a connection was accepted in time; false for everything else, also when cancelled.
    func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool
}
