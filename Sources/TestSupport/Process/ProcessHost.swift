// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Starts programs and answers for their end: whatever still runs when its scope is left is killed.
package final class ProcessHost: Sendable {
    private let launches: AsyncStream<ProcessUnderTest>.Continuation

    fileprivate init(_ launches: AsyncStream<ProcessUnderTest>.Continuation) { self.launches = launches }

    /// Returns once the program runs.
    package func start(_ command: Command) async throws -> ProcessUnderTest {
        try Reaper.start()
        let process = ProcessUnderTest(command)
        launches.yield(process)
        try await process.started()
        return process
    }

    /// Runs a program to its end.
    package func run(_ command: Command, within limit: Duration = .seconds(20)) async throws -> Outcome {
        let process = try await start(command)
        let status = try await process.end(within: limit)
        return Outcome(command: command, status: status, output: process.output, errors: process.errors)
    }
}

/// Runs `body` with a host of processes; none of them outlives it, also when it throws.
package func withProcesses<Result>(_ body: (ProcessHost) async throws -> Result) async throws -> Result {
    let (stream, launches) = AsyncStream<ProcessUnderTest>.makeStream()
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            await withDiscardingTaskGroup { running in
                for await process in stream { running.addTask { await process.run() } }
            }
        }
        // Leaving the group by return or throw would wait for programs that nobody ends.
        defer {
            launches.finish()
            group.cancelAll()
        }
        return try await body(ProcessHost(launches))
    }
}
