// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Synchronization
import Testing

@testable import Relay

struct TestFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Looks again and again until `condition` holds, on a thread that may block. - Throws: when it does not in time.
func eventually(
    _ what: String, within limit: Duration = .seconds(10), _ condition: () throws -> Bool
) throws {
    let deadline = ContinuousClock.now + limit
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(limit): \(what)") }
        usleep(1_000)
    }
}

/// Runs blocking code on a thread of its own: the pool of Swift's tasks must not be blocked. Still the same task, so
/// that what the code expects is counted for the test that runs.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withTaskExecutorPreference(ThreadExecutor()) { try await onExecutor(body) }
}

@concurrent
private func onExecutor<Result: Sendable>(_ body: @Sendable () throws -> Result) async throws -> Result { try body() }

/// Gives each job a thread.
private final class ThreadExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let result = WorkerThread.start(name: "test") { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        precondition(result == 0, "no thread for a test: \(result)")
    }
}

/// Blocking code that runs beside the caller's.
final class Beside<Result: Sendable>: Sendable {
    private let result = Mutex<Swift.Result<Result, any Error>?>(nil)

    init(_ body: @escaping @Sendable () throws -> Result) {
        let failure = WorkerThread.start(name: "test beside") { [self] in
            let outcome = Swift.Result { try body() }
            result.withLock { $0 = outcome }
        }
        if failure != 0 {
            result.withLock { $0 = .failure(SyscallError(call: "pthread_create", number: failure)) }
        }
    }

    func join(within limit: Duration = .seconds(60)) throws -> Result {
        try eventually("the other thread ends", within: limit) { result.withLock { $0 != nil } }
        guard let outcome = result.withLock({ $0 }) else { throw TestFailure("no result") }
        return try outcome.get()
    }
}

/// A folder of its own for Unix sockets, gone with what is in it when this goes.
final class SocketFolder: Sendable {
    private let path: String

    init() throws {
        var template = Array("/tmp/relay-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SyscallError(call: "mkdtemp", number: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        for name in ["client", "backend"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// For the relay's listener and for an instance's.
    func paths() throws -> (client: UnixPath, backend: UnixPath) {
        guard let client = UnixPath("\(path)/client"), let backend = UnixPath("\(path)/backend") else {
            throw TestFailure("no path: \(path)")
        }
        return (client, backend)
    }
}

/// Descriptors that this process has open once nothing changes any more: a test before may still be closing its own.
func settledDescriptors() async throws -> [Int32] {
    try await onThread {
        var (last, equal) = (try openDescriptors(), 0)
        try eventually("descriptors settle") {
            let current = try openDescriptors()
            equal = current == last ? equal + 1 : 0
            last = current
            return equal == 500
        }
        return last
    }
}

/// Descriptors that this process has open.
func openDescriptors() throws -> [Int32] {
    guard let directory = opendir("/proc/self/fd") else { throw SyscallError(call: "opendir", number: errno) }
    defer { closedir(directory) }
    var numbers: [Int32] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if let number = Int32(name), number != dirfd(directory) { numbers.append(number) }
    }
    return numbers.sorted()
}
