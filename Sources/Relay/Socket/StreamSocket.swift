// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
internal import ServiceModel

/// What the relay does with TCP sockets beside moving bytes. Answers as `Syscall` does: less than zero is `-errno`.
enum StreamSocket {
    /// Keepalive after 15 s of silence, every 5 s, dead after 3: docs/promises.md, "Defaults". TCP_USER_TIMEOUT is left
    /// alone on purpose: it kills living peers that do not read.
    private static let keepaliveIdleSeconds: Int32 = 15
    private static let keepaliveIntervalSeconds: Int32 = 5
    private static let keepaliveProbes: Int32 = 3

    /// Small writes sent at once, and urgent bytes where they stand in the stream: else they would be lost (RFC 6093, 4).
    /// Set on a listener, as `keepAlive`, all that it accepts inherit it. A socket of another family refuses what is TCP's,
    /// and works without it.
    static func prepare(_ descriptor: Int32) {
        _ = Syscall.setOption(descriptor, level: Int32(IPPROTO_TCP), name: TCP_NODELAY, to: 1)
        _ = Syscall.setOption(descriptor, level: SOL_SOCKET, name: SO_OOBINLINE, to: 1)
    }

    /// Keepalive, counted from when the peer was last heard.
    static func keepAlive(_ descriptor: Int32) {
        let tcp = Int32(IPPROTO_TCP)
        _ = Syscall.setOption(descriptor, level: SOL_SOCKET, name: SO_KEEPALIVE, to: 1)
        _ = Syscall.setOption(descriptor, level: tcp, name: TCP_KEEPINTVL, to: keepaliveIntervalSeconds)
        _ = Syscall.setOption(descriptor, level: tcp, name: TCP_KEEPCNT, to: keepaliveProbes)
        // Last: once keepalive runs, this takes what has passed into account (tcp_sock_set_keepidle_locked in net/ipv4).
        _ = Syscall.setOption(descriptor, level: tcp, name: TCP_KEEPIDLE, to: keepaliveIdleSeconds)
    }

    /// - Returns: the accepted descriptor, `-EAGAIN` when nobody waits.
    static func accept(_ listener: Int32, from peer: inout SocketAddress) -> Int {
        let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        return peer.fill { address, length in
            Syscall.retrying { Int(clinux_accept4(listener, address, length, flags)) }
        }
    }

    /// A new non-blocking socket of `family`.
    static func make(family: Int32) -> Int {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        return Syscall.retrying { Int(socket(family, kind, 0)) }
    }

    /// - Returns: 0 or `-EINPROGRESS` when the connect is on its way.
    static func connect(_ descriptor: Int32, to address: SocketAddress) -> Int {
        address.read { pointer, length in Syscall.retrying { Int(Glibc.connect(descriptor, pointer, length)) } }
    }

    /// Whether a connect has succeeded and nothing has ended the connection since.
    static func isConnected(_ descriptor: Int32) -> Bool {
        var peer = SocketAddress()
        return peer.fill { address, length in Syscall.retrying { Int(getpeername(descriptor, address, length)) } } == 0
    }

    /// Whether a connect to `address`, which is one of `EphemeralPorts`, has met itself.
    ///
    /// Where nobody listens, the kernel may choose the very port that is called as the caller's own; TCP then opens the
    /// connection from both ends at once (RFC 9293, 3.5), and the client would talk to itself.
    static func isConnectedToItself(_ descriptor: Int32, calling address: SocketAddress) -> Bool {
        var own = SocketAddress()
        let result = own.fill { pointer, length in
            Syscall.retrying { Int(getsockname(descriptor, pointer, length)) }
        }
        return result == 0 && own.isEqual(to: address)
    }

    /// Sends FIN after what was written. A socket that is gone already says so by an event of its own.
    static func endWriting(_ descriptor: Int32) {
        _ = Syscall.retrying { Int(shutdown(descriptor, Int32(SHUT_WR))) }
    }

    /// Bytes written that the peer has not acknowledged (SIOCOUTQ); 0 when the socket cannot tell.
    static func unacknowledgedBytes(_ descriptor: Int32) -> Int {
        max(0, Syscall.retrying { Int(clinux_unacknowledged(descriptor)) })
    }

    /// What the kernel knows of the bytes on their way to the peer: nil when there are none, or it is not TCP.
    static func transmission(_ descriptor: Int32) -> PeerWatch.Reading? {
        guard unacknowledgedBytes(descriptor) > 0 else { return nil }
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        let result = Syscall.retrying {
            Int(getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length))
        }
        guard result == 0 else { return nil }
        return PeerWatch.Reading(
            unansweredRetransmits: Int(info.tcpi_retransmits), unansweredProbes: Int(info.tcpi_probes),
            sinceLastAnswer: UInt64(info.tcpi_last_ack_recv) * 1_000_000
        )
    }

    /// Makes the close of `descriptor` a reset: SO_LINGER with no time.
    static func resetOnClose(_ descriptor: Int32) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        _ = Syscall.retrying {
            Int(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size)))
        }
    }
}
