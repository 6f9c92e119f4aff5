// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// One side of a connection, and the direction that is read from it.
///
/// Two of them, the client's at an even index and the backend's at the next, make a connection.
struct Half {
    /// -1 when there is no socket.
    var descriptor: Int32 = -1
    /// Which socket of this place events are about; moves on with each that is closed.
    var generation: UInt32 = 0
    /// There may be something to read: said by an event, taken back by a read that found the end of it.
    var isReadable = false
    /// The peer has announced an end (FIN, reset), or something urgent, where reads stop short: from now on only 0 or
    /// EAGAIN means that all is read.
    var isEnding = false
    /// The peer has announced FIN, and nothing else out of the ordinary: a short read has found all that was before it.
    var isFinishing = false
    /// All was read, up to FIN or reset.
    var hasEnded = false
    /// The end was a reset, or a death that is passed on as one.
    var wasReset = false
    /// FIN was sent to this side.
    var isShutDown = false
    /// Reads in a row that filled the whole scratch buffer, up to the number that makes the direction bulk.
    var fullReads: UInt8 = 0
    /// A borrowed buffer: `pendingStart..<pendingEnd` of it was read from this side, and the other did not take it.
    var pending: UnsafeMutableRawPointer?
    /// A borrowed pipe with such bytes, instead: `pendingEnd - pendingStart` of them.
    var pipe: Pipe?
    var pendingStart: UInt32 = 0
    var pendingEnd: UInt32 = 0
    /// Whether this side answers to what is sent to it.
    var watch = PeerWatch()
    /// Bytes read from this side that the other side's socket took.
    var bytes: UInt64 = 0

    /// Bytes read from this side that the other did not take.
    var pendingCount: Int { Int(pendingEnd - pendingStart) }

    /// As new, for the next socket of this place.
    mutating func clear() {
        self = Half(generation: generation &+ 1)
    }

    init() {}

    private init(generation: UInt32) { self.generation = generation }
}
