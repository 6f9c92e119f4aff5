// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import NIOCore

/// Walks a server's HTTP/2 byte stream, takes out the PINGs that ask for an answer and notices a GOAWAY. Pure: no
/// channel, no clock.
///
/// A frame is a 9-byte header (length 24 bits, type 8, flags 8, stream 32) and its payload (RFC 9113, section 4.1).
/// All bytes of all other frames, PING acknowledgements among them, pass unchanged and in order.
struct HTTP2PingFilter {
    enum Output: Equatable {
        /// Bytes for the HTTP/2 handler.
        case forward(ByteBuffer)
        /// A PING to acknowledge with the same eight bytes.
        case answer(UInt64)
        /// The server will end the connection, for this reason (RFC 9113, section 7). The frame's bytes are forwarded.
        case goAway(errorCode: UInt32)
    }

    private enum State {
        case header
        case payload(remaining: Int)
        case ping
        /// The last stream and the error code of a GOAWAY, which pass as they are read.
        case goAway(rest: Int)
    }

    static let headerBytes = 9
    /// RFC 9113, section 6.7: the payload is always eight bytes.
    static let pingBytes = 8
    static let pingType: UInt8 = 6
    static let acknowledgedFlag: UInt8 = 1
    static let goAwayType: UInt8 = 7
    /// RFC 9113, section 6.8: last stream and error code, 4 bytes each; then what the server has to say.
    static let goAwayBytes = 8

    private var state = State.header
    /// The part of a header or PING payload that has come so far; never more than nine bytes.
    private var partial = ByteBuffer()

    /// Eats all of `whole`. Outputs come in the order of the stream.
    mutating func consume(_ whole: ByteBuffer) -> [Output] {
        var input = whole
        var outputs: [Output] = []
        // What may be passed on as one slice: from here to the reader index.
        var passFrom = input.readerIndex
        while input.readableBytes > 0 {
            switch state {
            case .payload(let remaining):
                let taken = min(remaining, input.readableBytes)
                input.moveReaderIndex(forwardBy: taken)
                state = taken == remaining ? .header : .payload(remaining: remaining - taken)
            case .header:
                takeHeader(from: &input, of: whole, &passFrom, into: &outputs)
            case .ping:
                gather(Self.pingBytes, from: &input)
                passFrom = input.readerIndex
                if partial.readableBytes == Self.pingBytes, let payload = partial.readInteger(as: UInt64.self) {
                    partial.clear()
                    outputs.append(.answer(payload))
                    state = .header
                }
            case .goAway(let rest):
                // Only a copy is gathered: the bytes stay within what is passed on.
                gather(Self.goAwayBytes, from: &input)
                guard partial.readableBytes == Self.goAwayBytes else { break }
                let code = partial.getInteger(at: partial.readerIndex + 4, as: UInt32.self) ?? 0
                partial.clear()
                outputs.append(.goAway(errorCode: code))
                state = rest == 0 ? .header : .payload(remaining: rest)
            }
        }
        Self.pass(whole, from: passFrom, to: input.readerIndex, into: &outputs)
        return outputs
    }

    /// A header that is there whole stays within what is passed on; one in pieces is gathered first.
    private mutating func takeHeader(
        from input: inout ByteBuffer, of whole: ByteBuffer, _ passFrom: inout Int, into outputs: inout [Output]
    ) {
        if partial.readableBytes == 0, let header = input.peekHeader() {
            let begin = input.readerIndex
            input.moveReaderIndex(forwardBy: Self.headerBytes)
            guard header.isPingRequest else { return state = Self.state(behind: header) }
            Self.pass(whole, from: passFrom, to: begin, into: &outputs)
            state = .ping
        } else {
            Self.pass(whole, from: passFrom, to: input.readerIndex, into: &outputs)
            gather(Self.headerBytes, from: &input)
            if let header = partial.peekHeader() { finishHeader(header, into: &outputs) }
        }
        passFrom = input.readerIndex
    }

    private static func state(behind header: FrameHeader) -> State {
        if header.type == goAwayType, header.length >= goAwayBytes { return .goAway(rest: header.length - goAwayBytes) }
        return header.length == 0 ? .header : .payload(remaining: header.length)
    }

    /// A header that came in pieces is complete.
    private mutating func finishHeader(_ header: FrameHeader, into outputs: inout [Output]) {
        if header.isPingRequest {
            state = .ping
        } else {
            outputs.append(.forward(partial))
            state = Self.state(behind: header)
        }
        partial = ByteBuffer()
    }

    private mutating func gather(_ count: Int, from input: inout ByteBuffer) {
        let wanted = min(count - partial.readableBytes, input.readableBytes)
        guard var piece = input.readSlice(length: wanted) else { return }
        partial.writeBuffer(&piece)
    }

    private static func pass(_ buffer: ByteBuffer, from: Int, to end: Int, into outputs: inout [Output]) {
        guard end > from, let slice = buffer.getSlice(at: from, length: end - from) else { return }
        outputs.append(.forward(slice))
    }
}

struct FrameHeader {
    let length: Int
    let type: UInt8
    let flags: UInt8

    var isPingRequest: Bool {
        type == HTTP2PingFilter.pingType && flags & HTTP2PingFilter.acknowledgedFlag == 0
            && length == HTTP2PingFilter.pingBytes
    }
}

extension ByteBuffer {
    /// The frame header at the reader index, nil when fewer than nine bytes are there.
    fileprivate func peekHeader() -> FrameHeader? {
        guard readableBytes >= HTTP2PingFilter.headerBytes,
            let lengthHigh = getInteger(at: readerIndex, as: UInt16.self),
            let lengthLow = getInteger(at: readerIndex + 2, as: UInt8.self),
            let type = getInteger(at: readerIndex + 3, as: UInt8.self),
            let flags = getInteger(at: readerIndex + 4, as: UInt8.self)
        else { return nil }
        return FrameHeader(length: Int(lengthHigh) << 8 | Int(lengthLow), type: type, flags: flags)
    }
}
