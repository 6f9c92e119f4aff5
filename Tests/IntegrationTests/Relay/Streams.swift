// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport

/// How a connection ends for who reads it: all that came, and the failure, nil for an end in order.
struct StreamEnd: Sendable {
    let bytes: [UInt8]
    let failure: SocketFailure?

    /// Reads to the end; blocking.
    init(of connection: TCPConnection) {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            do {
                let count = try part.withUnsafeMutableBytes { try connection.receive(into: $0) }
                guard count > 0 else { break }
                bytes.append(contentsOf: part[..<count])
            } catch {
                self.bytes = bytes
                failure = error as? SocketFailure
                return
            }
        }
        self.bytes = bytes
        failure = nil
    }

    var isReset: Bool { failure?.isReset == true }
}

extension BytePattern {
    /// Receives to the end of the stream. - Returns: `received`, or what was wrong.
    func receiving(_ count: Int, on connection: TCPConnection) -> String {
        do {
            try receiveAll(count, on: connection)
            return "received"
        } catch {
            return "\(error)"
        }
    }
}

/// Both directions at once, the half-close of one's own included; tells how each ended.
func exchange(
    sending own: BytePattern, receiving other: BytePattern, _ count: Int, on connection: TCPConnection,
    _ ends: Recorder<String>
) {
    concurrently {
        do {
            try own.send(count, on: connection)
            try connection.finishSending()
            ends.record("sent")
        } catch {
            ends.record("\(error)")
        }
    } and: {
        ends.record(other.receiving(count, on: connection))
    }
}
