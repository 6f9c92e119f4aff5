// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What an epoll event carries back: which of the worker's things it is about, and which tenant of that place.
///
/// Never a bare descriptor: a number is given out again as soon as it is closed, and an event that was fetched before
/// would reach the wrong connection. With the generation, such an event is recognised and dropped.
struct Token: Hashable, Sendable {
    let rawValue: UInt64

    /// Half of a connection: `index` is twice the connection's slot, plus 1 for the backend's half.
    static func half(_ index: UInt32, generation: UInt32) -> Token { Token(index, generation) }
    static func listener(_ index: UInt32, generation: UInt32) -> Token { Token(index | listenerBit, generation) }
    static let wakeUp = Token(.max, 0)

    enum Meaning: Hashable {
        case half(UInt32)
        case listener(UInt32)
        case wakeUp
    }

    var meaning: Meaning {
        let index = UInt32(truncatingIfNeeded: rawValue)
        if index & Self.listenerBit == 0 { return .half(index) }
        return index == .max ? .wakeUp : .listener(index & ~Self.listenerBit)
    }

    var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }

    init(rawValue: UInt64) { self.rawValue = rawValue }

    private static let listenerBit: UInt32 = 0x8000_0000

    private init(_ index: UInt32, _ generation: UInt32) {
        rawValue = UInt64(generation) << 32 | UInt64(index)
    }
}
