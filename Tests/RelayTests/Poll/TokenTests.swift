// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

@Suite struct TokenTests {
    @Test(arguments: [UInt32(0), 1, 511, 0x7fff_ffff], [UInt32(0), 1, .max])
    func halvesKeepIndexAndGeneration(index: UInt32, generation: UInt32) {
        let token = Token(rawValue: Token.half(index, generation: generation).rawValue)
        #expect(token.meaning == .half(index))
        #expect(token.generation == generation)
    }

    @Test func kindsAreDistinct() {
        #expect(Token.listener(0, generation: 7).meaning == .listener(0))
        #expect(Token.listener(0, generation: 7).generation == 7)
        #expect(Token.wakeUp.meaning == .wakeUp)
        #expect(Token.half(0, generation: 0) != Token.half(0, generation: 1))
    }
}
