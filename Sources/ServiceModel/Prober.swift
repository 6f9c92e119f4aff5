// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Finds out whether somebody accepts connections at an address. Daemon implements it; Discovery and Registration
/// open no sockets.
package protocol Prober: Sendable {
    /// - Parameters:
    ///   - endpoint: one that may be dialled, by the target policy or because it is our own container's.
    ///   - limit: how long a connect may take.
    /// - Returns: whether a connection was accepted in time; false for everything else, also when cancelled.
    func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool
}
