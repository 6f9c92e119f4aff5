// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Etcd

/// What certificates do is `EtcdIdentityTests`', with real ones.
@Suite struct TLSWitnessTests {
    private static let reset = IOError(errnoCode: ECONNRESET, reason: "read")

    @Test func aResetBeforeTheServerSaidAnythingEndsTheHandshake() throws {
        let reasons = Recorder<String>()
        let channel = EmbeddedChannel(handler: TLSWitness(showsCertificate: false) { reasons.record($0) })
        channel.pipeline.fireErrorCaught(Self.reset)
        #expect(reasons.all == ["the server ended the handshake; does it speak TLS?"])
        #expect(throws: IOError.self, "it is passed on") { try channel.throwIfErrorCaught() }
    }

    @Test func aResetOfAServerThatHasSpokenIsNoMatterOfTLS() throws {
        let reasons = Recorder<String>()
        let channel = EmbeddedChannel(handler: TLSWitness(showsCertificate: false) { reasons.record($0) })
        let settings = ByteBuffer(bytes: [0, 0, 0, 4, 0, 0, 0, 0, 0])
        try channel.writeInbound(settings)
        #expect(try channel.readInbound(as: ByteBuffer.self) == settings)
        channel.pipeline.fireErrorCaught(Self.reset)
        #expect(reasons.all.isEmpty)
        #expect(throws: IOError.self, "it is passed on") { try channel.throwIfErrorCaught() }
    }
}
