// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import NIOCore

/// Answers the server's PINGs before swift-nio-http2 counts them.
///
/// A plaintext etcd (Go's HTTP/2 server) sends a PING with nearly every DATA frame that it receives, to measure
/// bandwidth; swift-nio-http2 takes more than 200 PINGs in 30 s for an attack, closes the connection, and offers no
/// setting (NIOHTTP2Handler's control-frame limit). Measured: the stock transport dies at the 198th put. This handler
/// stands in front of NIOHTTP2Handler, answers PINGs itself and lets everything else through, acknowledgements of our
/// own keepalive included.
///
/// The protection is kept, with a limit that fits: more than 10,000 PINGs in a second close the connection.
final class PingAnswerer: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Twice what one connection was seen to cause at full load (20,000 puts over 16 callers: about 5,000 a second).
    static let maximumPerSecond = 10_000

    private var filter = HTTP2PingFilter()
    private let onGoAway: (UInt32) -> Void
    private let now: () -> NIODeadline
    private var hasAnswered = false
    private var windowStart: NIODeadline = .uptimeNanoseconds(0)
    private var inWindow = 0

    /// - Parameters:
    ///   - onGoAway: told the error code of a GOAWAY as it passes.
    ///   - now: the clock by which a second is measured.
    init(
        onGoAway: @escaping (UInt32) -> Void = { _ in }, now: @escaping () -> NIODeadline = { NIODeadline.now() }
    ) {
        self.onGoAway = onGoAway
        self.now = now
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for output in filter.consume(unwrapInboundIn(data)) {
            switch output {
            case .forward(let bytes):
                context.fireChannelRead(wrapInboundOut(bytes))
            case .goAway(let code):
                onGoAway(code)
            case .answer(let payload):
                guard isWithinLimit(now: now()) else {
                    context.fireErrorCaught(EtcdError(.unavailable, "more than 10,000 HTTP/2 PINGs in a second"))
                    context.close(promise: nil)
                    return
                }
                context.write(
                    wrapOutboundOut(Self.acknowledgement(of: payload, context.channel.allocator)), promise: nil)
                hasAnswered = true
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if hasAnswered {
            hasAnswered = false
            context.flush()
        }
        context.fireChannelReadComplete()
    }

    private func isWithinLimit(now: NIODeadline) -> Bool {
        if now - windowStart >= .seconds(1) {
            windowStart = now
            inWindow = 0
        }
        inWindow += 1
        return inWindow <= Self.maximumPerSecond
    }

    private static func acknowledgement(of payload: UInt64, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var frame = allocator.buffer(capacity: HTTP2PingFilter.headerBytes + HTTP2PingFilter.pingBytes)
        frame.writeInteger(UInt16(0))
        frame.writeInteger(UInt8(HTTP2PingFilter.pingBytes))
        frame.writeInteger(HTTP2PingFilter.pingType)
        frame.writeInteger(HTTP2PingFilter.acknowledgedFlag)
        frame.writeInteger(UInt32(0))
        frame.writeInteger(payload)
        return frame
    }
}
