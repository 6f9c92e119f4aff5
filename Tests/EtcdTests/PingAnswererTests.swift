// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Etcd

@Suite struct PingAnswererTests {
    private static let ping: [UInt8] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    private static let acknowledgement: [UInt8] = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]

    @Test func writesTheAcknowledgementAndPassesNothingOn() throws {
        let channel = EmbeddedChannel(handler: PingAnswerer())
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.writeInbound(ByteBuffer(bytes: Self.ping))
        let answer = try channel.readOutbound(as: ByteBuffer.self)
        #expect(answer == ByteBuffer(bytes: Self.acknowledgement))
        #expect(try channel.readInbound(as: ByteBuffer.self) == nil)
        _ = try channel.finish()
    }

    @Test func closesTheConnectionOfAServerThatFloods() throws {
        let channel = EmbeddedChannel(handler: PingAnswerer(now: { .uptimeNanoseconds(5_000_000_000) }))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let flood = Array(repeating: Self.ping, count: PingAnswerer.maximumPerSecond).flatMap { $0 }
        try channel.writeInbound(ByteBuffer(bytes: flood))
        #expect(channel.isActive, "as many as are allowed")
        #expect(throws: EtcdError.self) { try channel.writeInbound(ByteBuffer(bytes: Self.ping)) }
        #expect(!channel.isActive)
        _ = try? channel.finish()
    }

    @Test func tellsTheReasonOfAGoAwayAndPassesItOn() throws {
        let reasons = Recorder<UInt32>()
        let channel = EmbeddedChannel(handler: PingAnswerer(onGoAway: { reasons.record($0) }))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        // Last stream 0, ENHANCE_YOUR_CALM.
        let goAway: [UInt8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb]
        try channel.writeInbound(ByteBuffer(bytes: goAway))
        #expect(reasons.all == [0xb])
        #expect(try channel.readInbound(as: ByteBuffer.self) == ByteBuffer(bytes: goAway))
        _ = try channel.finish()
    }
}
