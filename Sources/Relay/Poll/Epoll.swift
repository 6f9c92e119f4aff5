// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc

/// An epoll instance. Registering is safe from any thread, waiting belongs to one.
struct Epoll: ~Copyable, Sendable {
    /// What a registration waits for, and what an event says.
    struct Interest: OptionSet, Sendable {
        let rawValue: UInt32

        static let readable = Interest(rawValue: EPOLLIN.rawValue)
        static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// A byte that the peer calls urgent; reads stop in front of it (tcp(7), "SIGURG").
        static let urgent = Interest(rawValue: EPOLLPRI.rawValue)
        /// The peer has ended its direction (FIN), or all is over.
        static let peerEnded = Interest(rawValue: EPOLLRDHUP.rawValue)
        /// An error waits in the socket: a reset, or a connect that failed. Always reported.
        static let failed = Interest(rawValue: EPOLLERR.rawValue)
        /// Both directions are over. Always reported.
        static let hungUp = Interest(rawValue: EPOLLHUP.rawValue)
        /// One event for each change, not for as long as the state lasts.
        static let edgeTriggered = Interest(rawValue: EPOLLET.rawValue)
        /// Wakes one of several workers that share a listener, not all of them.
        static let exclusive = Interest(rawValue: EPOLLEXCLUSIVE.rawValue)

        /// The one registration of every connection's socket.
        static let connection: Interest = [.readable, .writable, .urgent, .peerEnded, .edgeTriggered]
        /// After any of these a short read does not mean that the socket is empty.
        static let ending: Interest = [.urgent, .peerEnded, .hungUp, .failed]
    }

    private let owned: OwnedDescriptor

    init() throws(SyscallError) {
        let number = try Syscall.checked("epoll_create1") { Int(epoll_create1(Int32(EPOLL_CLOEXEC))) }
        owned = OwnedDescriptor(adopting: Int32(number))
    }

    var descriptor: Int32 { owned.number }

    /// - Returns: 0, or `-errno`: ENOSPC or ENOMEM when the kernel takes no more.
    func add(_ descriptor: Int32, _ interest: Interest, _ token: Token) -> Int {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token.rawValue))
        return Syscall.retrying { Int(epoll_ctl(owned.number, EPOLL_CTL_ADD, descriptor, &event)) }
    }

    /// Forgets a descriptor that stays open. One that is closed is forgotten by the kernel.
    func remove(_ descriptor: Int32) {
        var event = epoll_event()
        _ = Syscall.retrying { Int(epoll_ctl(owned.number, EPOLL_CTL_DEL, descriptor, &event)) }
    }

    /// - Parameter timeoutMilliseconds: -1 to wait without end.
    /// - Returns: how many of `events` were filled in.
    func wait(into events: UnsafeMutablePointer<epoll_event>, capacity: Int, timeoutMilliseconds: Int32) -> Int {
        let count = clinux_wait(owned.number, events, Int32(capacity), timeoutMilliseconds)
        // Signals are blocked in workers; whatever interrupted it, the turn goes on and its timers are looked at.
        if count < 0 { precondition(errno == EINTR, "epoll_wait: \(errno)") }
        return max(0, Int(count))
    }
}
