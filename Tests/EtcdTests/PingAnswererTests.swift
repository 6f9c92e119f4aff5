// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import NIOCore
import NIOEmbedded
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
        let channel = EmbeddedChannel(handler: PingAnswerer())
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let flood = Array(repeating: Self.ping, count: PingAnswerer.maximumPerSecond + 1).flatMap { $0 }
        #expect(throws: EtcdError.self) { try channel.writeInbound(ByteBuffer(bytes: flood)) }
        #expect(!channel.isActive)
        _ = try? channel.finish()
    }
}
