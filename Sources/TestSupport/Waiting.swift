// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Synchronization

/// A promise that was not kept, or a condition that a test needs and that never came.
package struct NeverHappened: Error, CustomStringConvertible {
    package let what: String
    package let waited: Duration
    /// What the last look at the condition threw, when it did.
    package let lastError: String?

    package var description: String {
        "\(what): not within \(waited.milliseconds) ms" + (lastError.map { "; at last: \($0)" } ?? "")
    }
}

/// An error that no waiting mends: waiting for something else ends with it.
package protocol FinalFailure: Error {}

/// An answer that a test cannot use, now; it may come right later.
package struct Unexpected: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension Duration {
    /// Rounded down.
    package var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
    package var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// Waits for something that a user relies on, three times as long as promised and 2 s at least, since a busy machine is
/// no broken promise, and prints the time it took.
/// - Parameter start: when the clock of the promise began to run.
/// - Returns: the measured time.
/// - Throws: `NeverHappened`; errors of `condition` count as "not yet", but for a `FinalFailure`.
@discardableResult
package func eventually(
    _ what: String, within promise: Duration, since start: ContinuousClock.Instant = .now,
    _ condition: () async throws -> Bool
) async throws -> Duration {
    let deadline = start + max(promise * 3, .seconds(2))
    try await waitFor(what, until: max(deadline, .now + .milliseconds(200)), condition)
    let measured = ContinuousClock.now - start
    report(measured, what, promise: promise)
    return measured
}

/// Prints a measured time beside its promise: these lines are read by people after every run.
package func report(_ measured: Duration, _ what: String, promise: Duration) {
    print("measured: \(what) \(measured.milliseconds) ms (promise \(promise.milliseconds) ms)")
}

/// Waits for what a test needs in order to go on, without a promise behind it.
package func waitFor(
    _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    try await waitFor(what, until: .now + limit, condition)
}

/// Waits until `look` finds something.
package func waitForValue<Value>(
    _ what: String, within limit: Duration = .seconds(20), _ look: () async throws -> Value?
) async throws -> Value {
    var found: Value?
    try await waitFor(what, within: limit) {
        found = try await look()
        return found != nil
    }
    guard let found else { throw NeverHappened(what: what, waited: limit, lastError: nil) }
    return found
}

/// Looks again and again, every 2 ms at first and every 20 ms later.
private func waitFor(
    _ what: String, until deadline: ContinuousClock.Instant, _ condition: () async throws -> Bool
) async throws {
    let start = ContinuousClock.now
    var pause = Duration.milliseconds(2)
    var lastError: String?
    while true {
        do {
            if try await condition() { return }
            lastError = nil
        } catch let error as any FinalFailure {
            throw error
        } catch {
            lastError = "\(error)"
        }
        guard ContinuousClock.now < deadline else {
            throw NeverHappened(what: what, waited: ContinuousClock.now - start, lastError: lastError)
        }
        try await Task.sleep(for: pause)
        pause = min(pause * 2, .milliseconds(20))
    }
}

/// Runs blocking work, such as that on sockets, on a thread of its own, so that no thread of the cooperative pool waits.
/// The work needs deadlines of its own: cancellation does not reach it.
package func blocking<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        startThread { continuation.resume(with: Swift.Result { try work() }) }
    }
}

/// Starts a thread with a small stack, so that a thousand of them cost nothing.
package func startThread(_ work: @escaping @Sendable () -> Void) {
    let thread = Thread(block: work)
    thread.stackSize = 256 << 10
    thread.start()
}

/// Runs both on threads, the second on the caller's, and waits for both; blocking.
package func concurrently(_ first: @escaping @Sendable () -> Void, and second: () -> Void) {
    let isDone = Mutex(false)
    let condition = NSCondition()
    startThread {
        first()
        condition.lock()
        isDone.withLock { $0 = true }
        condition.signal()
        condition.unlock()
    }
    second()
    condition.lock()
    while !isDone.withLock({ $0 }) { condition.wait() }
    condition.unlock()
}

/// Sleeps on a thread that is one's own.
package func blockThread(for duration: Duration) { Thread.sleep(forTimeInterval: duration.inSeconds) }
