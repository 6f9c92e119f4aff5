// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc

/// The one place where system calls are made good: EINTR is retried, an errno becomes a negative value.
///
/// Everything here answers as the kernel itself does: zero or more is the call's result, less than zero is `-errno`.
/// EAGAIN is such a value, not an error. EBADF and EFAULT are our own bugs and trap.
enum Syscall {
    // Hot path: the closure does not escape and is inlined.
    @inline(__always)
    static func retrying(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            let number = errno
            if number == EINTR { continue }
            precondition(number != EBADF && number != EFAULT, "a descriptor or buffer was used after its end")
            return -Int(number)
        }
    }

    /// `call`'s result, or a throw that names it.
    static func checked(
        _ name: String, on subject: @autoclosure () -> String = "", _ call: () -> Int
    ) throws(SyscallError) -> Int {
        let result = retrying(call)
        guard result >= 0 else {
            throw SyscallError(call: name, subject: subject(), number: Int32(-result))
        }
        return result
    }

    /// - Returns: bytes taken from the socket, 0 at end of stream, `-EAGAIN` when it would block.
    static func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawPointer, count: Int) -> Int {
        retrying { clinux_receive(descriptor, buffer, UInt(count)) }
    }

    /// - Returns: bytes that the socket took, `-EAGAIN` when it takes none now. Never raises SIGPIPE.
    static func send(_ descriptor: Int32, from buffer: UnsafeRawPointer, count: Int) -> Int {
        retrying { clinux_send(descriptor, buffer, UInt(count)) }
    }

    /// - Returns: bytes taken from the pipe, `-EAGAIN` when it is empty.
    static func read(_ descriptor: Int32, into buffer: UnsafeMutableRawPointer, count: Int) -> Int {
        retrying { Glibc.read(descriptor, buffer, count) }
    }

    /// Moves bytes between a socket and a pipe without copying them.
    ///
    /// A socket that the peer has closed raises SIGPIPE here, which no flag keeps off: workers block it.
    /// - Returns: bytes moved, 0 at the source's end of stream, `-EAGAIN` when the source has nothing or the sink takes
    ///   nothing: the call does not say which.
    static func splice(from source: Int32, to sink: Int32, count: Int) -> Int {
        retrying { clinux_splice(source, sink, UInt(count)) }
    }

    /// Sets an integer option; a socket that does not know it (a Unix socket and TCP_NODELAY) stays as it is.
    static func setOption(_ descriptor: Int32, level: Int32, name: Int32, to value: Int32) -> Int {
        withUnsafePointer(to: value) { pointer in
            retrying { Int(setsockopt(descriptor, level, name, pointer, socklen_t(MemoryLayout<Int32>.size))) }
        }
    }

    /// The error that a socket has waiting (SO_ERROR), which this clears; 0 when there is none.
    static func takeError(of descriptor: Int32) -> Int32 {
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let result = retrying { Int(getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length)) }
        return result < 0 ? Int32(-result) : number
    }

    /// Nanoseconds of CLOCK_MONOTONIC, the only clock of the workers.
    static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
