// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What became of one name.
package enum NameAnswer: Hashable, Sendable {
    /// At least one, in the resolver's order (RFC 6724), each once.
    case addresses([IPAddress])
    /// In the resolver's words.
    case failure(String)
}

/// Looks names up. Daemon implements it; Discovery opens no sockets.
package protocol NameResolver: Sendable {
    /// - Returns: when the resolver has an answer or has given up, which may take half a minute.
    func answer(for name: String) async -> NameAnswer
}
