// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel

/// Weighted rendezvous hashing in two steps: a client's address leads to a group of instances, and in it to one.
///
/// In each step every candidate draws a number from the client's address and its own, and the best for its weight wins
/// (Thaler and Ravishankar, 1998; weights as -w / ln u, Schindelhauer and Schomaker, 2005). Whoever comes, goes or changes
/// its weight moves only clients from or to its group, and within it from or to itself: of N equal instances 1/N to 2/N
/// of them. By endpoint and with no secret, so that all proxies of a service agree. 10,000 instances cost some 200 draws.
struct SourceHash {
    static let groups = 128

    /// The table's index of the first instance; all that follows counts from there.
    let first: Int
    /// Places of instances, ordered by group.
    let members: UnsafePointer<UInt32>
    /// Where each group begins in `members`; one more for the end of the last.
    let starts: UnsafePointer<UInt32>
    /// Sums of weights.
    let groupWeights: UnsafePointer<Double>
    /// By place.
    let hashes: UnsafePointer<UInt64>
    let weights: UnsafePointer<UInt32>

    /// - Parameter draw: another number leads the same client to another instance, most of the time.
    /// - Returns: an index of the table; there must be an instance.
    func pick(_ source: UInt64, draw: Int) -> Int {
        let seed = Self.mix(source &+ UInt64(truncatingIfNeeded: draw) &* 0x9e37_79b9_7f4a_7c15)
        var group = 0
        var best = -Double.infinity
        for candidate in 0..<Self.groups where groupWeights[candidate] > 0 {
            let score = Self.score(seed, UInt64(candidate), weight: groupWeights[candidate])
            if score > best { (best, group) = (score, candidate) }
        }
        var index = Int(members[Int(starts[group])])
        best = -.infinity
        for place in Int(starts[group])..<Int(starts[group + 1]) {
            let candidate = Int(members[place])
            let score = Self.score(seed, hashes[candidate], weight: Double(weights[candidate]))
            if score > best { (best, index) = (score, candidate) }
        }
        return first + index
    }

    /// The higher, the better; exponentially distributed, negated.
    private static func score(_ seed: UInt64, _ candidate: UInt64, weight: Double) -> Double {
        // 53 bits, never 0 and never 1.
        let unit = (Double(mix(seed ^ mix(candidate)) >> 11) + 0.5) * 0x1p-53
        return log(unit) / weight
    }

    static func hash(_ address: InstanceAddress) -> UInt64 {
        switch address {
        case .network(let endpoint): mix(hash(endpoint.address) ^ UInt64(endpoint.port))
        case .unix(let path): path.description.utf8.reduce(0) { mix($0 ^ UInt64($1)) }
        }
    }

    /// A client's connections come from many ports: only its address counts.
    static func hash(_ address: IPAddress) -> UInt64 { mix(mix(address.high) ^ address.low) }

    /// SplitMix64's finalizer (Steele, Lea, Flood, 2014). Part of what proxies agree on: it must not change.
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
