// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Glibc
import Synchronization

/// Ends what this process has started, and removes its directories, when it dies without doing so itself: a test
/// runner that crashes or is killed leaves nothing running either.
///
/// A shell waits for the end of a pipe whose other end only we hold, and then looks for our mark in the environment of
/// every process.
enum Reaper {
    static let variable = "TEST_RUNNER"
    static let value = "legation-\(getpid())-\(UInt32.random(in: .min ... .max))"
    /// Of every directory that a test makes.
    static let directoryPrefix = "legation-test-\(getpid())-"

    /// Kept open until the end of this process.
    private static let pipe = Mutex<Pipe?>(nil)

    private static let script = """
        trap '' HUP INT TERM
        cat
        for file in /proc/[0-9]*/environ; do
            pid=${file#/proc/} pid=${pid%/environ}
            if grep -qzxF "$1" "$file" 2>/dev/null; then kill -KILL "$pid" 2>/dev/null; fi
        done
        rm -rf "/dev/shm/$2"* "${TMPDIR:-/tmp}/$2"*
        """

    /// Once a process; later calls do nothing.
    static func start() throws {
        try pipe.withLock { pipe in
            guard pipe == nil else { return }
            let ours = Pipe()
            let descriptor = ours.fileHandleForWriting.fileDescriptor
            // Or every program started later would hold it open.
            guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw SocketFailure("fcntl") }
            let shell = Process()
            shell.executableURL = URL(fileURLWithPath: "/usr/bin/setsid")
            shell.arguments = ["sh", "-c", script, "reaper", "\(variable)=\(value)", directoryPrefix]
            shell.standardInput = ours
            shell.standardOutput = FileHandle.nullDevice
            shell.standardError = FileHandle.nullDevice
            try shell.run()
            pipe = ours
        }
    }
}
