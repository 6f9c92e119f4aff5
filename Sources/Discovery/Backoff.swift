// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How long to wait before the registry is asked again: up to 50 ms first, doubled to 5 s at most (reliability.md F5),
/// anywhere between the shortest and that by chance, so that many proxies do not ask at once.
struct Backoff {
    private static let shortest = Duration.milliseconds(50)
    private static let longest = Duration.seconds(5)

    private var ceiling = shortest * 2

    /// - Parameter random: 0..<1.
    mutating func next(random: Double) -> Duration {
        defer { ceiling = min(ceiling * 2, Self.longest) }
        return Self.shortest + (ceiling - Self.shortest) * random
    }

    mutating func reset() { self = Backoff() }
}
