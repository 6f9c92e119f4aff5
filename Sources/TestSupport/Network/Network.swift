// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

/// The network that a socket is made in.
package enum Network: Sendable {
    case own
    /// That of another process.
    case of(ProcessUnderTest)
    /// That of a process which a test did not start itself.
    case ofPID(Int32)

    /// As setns(2) and nsenter(1) take it; nil for our own.
    var path: String? {
        get throws {
            switch self {
            case .own: nil
            case .of(let process): "/proc/\(try process.pid)/ns/net"
            case .ofPID(let pid): "/proc/\(pid)/ns/net"
            }
        }
    }

    /// Runs `body` on a thread of its own within the network; sockets stay in the network that they were made in.
    package func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await blocking {
            try enter()
            return try body()
        }
    }

    /// Moves the calling thread into the network; it has to be one that nobody else will use.
    func enter() throws {
        guard let path = try path else { return }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SocketFailure("open \(path)") }
        defer { close(descriptor) }
        guard let setns, setns(descriptor, newNetwork) == 0 else { throw SocketFailure("setns \(path)") }
    }
}

/// `CLONE_NEWNET` of sched.h.
private let newNetwork: Int32 = 0x4000_0000

/// setns(2), which `import Glibc` hides; our own C module, which shows it, cannot be imported beside Glibc.
private let setns = dlsym(nil, "setns").map {
    unsafeBitCast($0, to: (@convention(c) (Int32, Int32) -> Int32).self)
}
