// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import Subprocess
import Synchronization
import SystemPackage

/// One started program: its lines, its signals, its end.
///
/// ## Concurrency
/// `run()` belongs to the `ProcessHost` that started it; everything else may be called from anywhere.
package final class ProcessUnderTest: Sendable, CustomStringConvertible {
    package struct Line: Sendable {
        package let at: ContinuousClock.Instant
        package let isError: Bool
        package let text: String
    }

    package enum Failure: FinalFailure, CustomStringConvertible {
        case notRunning(String)
        case notStarted(String)

        package var description: String {
            switch self {
            case .notRunning(let who): "\(who) is not running"
            case .notStarted(let why): "not started: \(why)"
            }
        }
    }

    private enum Phase: Sendable {
        case waiting
        case running(pid: pid_t, send: @Sendable (Signal) throws -> Void)
        case ended(ExitStatus)
        case failed(String)
    }

    private struct State: Sendable {
        var phase = Phase.waiting
        var lines: [Line] = []
        var leftBehind: [String] = []
    }

    package let command: Command
    private let state = Mutex(State())

    init(_ command: Command) { self.command = command }

    package var description: String { "\(command) (\(phaseText))" }

    private var phaseText: String {
        switch state.withLock({ $0.phase }) {
        case .waiting: "starting"
        case .running(let pid, _): "pid \(pid)"
        case .ended(let status): "\(status)"
        case .failed(let why): "not started: \(why)"
        }
    }

    // MARK: - Its life

    /// - Throws: `Failure` unless the program runs.
    package var pid: Int32 {
        get throws {
            guard case .running(let pid, _) = state.withLock({ $0.phase }) else {
                throw Failure.notRunning(description)
            }
            return pid
        }
    }

    /// Nil while it runs.
    package var exitStatus: ExitStatus? {
        guard case .ended(let status) = state.withLock({ $0.phase }) else { return nil }
        return status
    }

    /// Sends a signal to the program alone, never to what it has started.
    package func signal(_ number: Int32) throws {
        guard case .running(_, let send) = state.withLock({ $0.phase }) else { throw Failure.notRunning(description) }
        try send(Signal(rawValue: number))
    }

    package func terminate() throws { try signal(SIGTERM) }
    package func kill() throws { try signal(SIGKILL) }
    package func pause() throws { try signal(SIGSTOP) }
    package func resume() throws { try signal(SIGCONT) }

    /// Waits for the end, which the caller has asked for.
    @discardableResult
    package func end(within limit: Duration = .seconds(20)) async throws -> ExitStatus {
        try await waitForValue("end of \(description)", within: limit) {
            if case .failed(let why) = state.withLock({ $0.phase }) { throw Failure.notStarted(why) }
            return exitStatus
        }
    }

    /// SIGKILL and wait.
    package func killAndWait() async throws {
        try kill()
        try await end()
    }

    /// Waits until the program runs.
    func started() async throws {
        try await waitFor("start of \(command)") {
            switch state.withLock({ $0.phase }) {
            case .waiting: false
            case .running, .ended: true
            case .failed(let why): throw Failure.notStarted(why)
            }
        }
    }

    /// What still ran in its session when it had ended by itself, as `pid (name)`; it was killed then.
    package var leftBehind: [String] { state.withLock { $0.leftBehind } }

    // MARK: - What it said

    package var lines: [Line] { state.withLock { $0.lines } }

    /// Standard output so far, whole lines.
    package var output: String { text(ofErrors: false) }
    package var errors: String { text(ofErrors: true) }

    private func text(ofErrors errors: Bool) -> String {
        lines.filter { $0.isError == errors }.map { $0.text + "\n" }.joined()
    }

    /// For failure messages.
    package func lastLines(_ count: Int = 20) -> String { lines.suffix(count).map(\.text).joined(separator: "\n") }

    package func lines(containing parts: String...) -> [Line] {
        lines.filter { line in parts.allSatisfy { line.text.contains($0) } }
    }

    /// The first line with all of `parts` in it, waited for.
    /// - Parameter after: skip this many lines, so that an old one is not taken for a new one.
    @discardableResult
    package func firstLine(
        containing parts: String..., after: Int = 0, within limit: Duration = .seconds(20)
    ) async throws -> Line {
        do {
            return try await waitForValue("a line with \(parts) from \(command)", within: limit) {
                lines.dropFirst(after).first { line in parts.allSatisfy { line.text.contains($0) } }
            }
        } catch let error as NeverHappened {
            throw NeverHappened(what: error.what, waited: error.waited, lastError: "it said:\n\(lastLines())")
        }
    }

    private func append(_ text: String, isError: Bool) {
        state.withLock { $0.lines.append(Line(at: .now, isError: isError, text: text)) }
    }

    // MARK: - Running

    /// Runs the program in a session of its own to its end; cancelled, ends the session.
    func run() async {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            command.grace == .zero
                ? .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)
                : .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: command.grace)
        ]
        do {
            let (executable, arguments) = try command.resolved()
            let environment = command.wholeEnvironment.map { ($0, $1) }
            let result = try await Subprocess.run(
                executable.hasPrefix("/") ? .path(FilePath(executable)) : .name(executable),
                arguments: Arguments(arguments),
                environment: .custom(
                    Dictionary(uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.0), $0.1) })),
                platformOptions: options, input: .none, output: .sequence, error: .sequence
            ) { execution in
                let pid = execution.processIdentifier.value
                self.state.withLock { state in
                    state.phase = .running(pid: pid) { try execution.send(signal: $0) }
                }
                async let errors: Void = self.collect(execution.standardError, isError: true)
                await self.collect(execution.standardOutput, isError: false)
                await errors
                return pid
            }
            endSession(of: result.closureResult)
            let status: ExitStatus =
                switch result.terminationStatus {
                case .exited(let code): .code(code)
                case .signaled(let number): .signal(number)
                }
            state.withLock { $0.phase = .ended(status) }
        } catch {
            state.withLock { $0.phase = .failed("\(error)") }
        }
    }

    /// What a program left behind goes with it.
    private func endSession(of pid: Int32) {
        guard Glibc.kill(-pid, 0) == 0 else { return }
        let members = (try? Self.members(ofSession: pid)) ?? ["unknown"]
        state.withLock { $0.leftBehind = members }
        Glibc.kill(-pid, SIGKILL)
    }

    /// Splits a stream into lines, the last of which may lack its end.
    private func collect(_ stream: SubprocessOutputSequence, isError: Bool) async {
        var rest: [UInt8] = []
        do {
            for try await buffer in stream {
                buffer.withUnsafeBytes { rest.append(contentsOf: $0) }
                while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    append(String(decoding: rest[..<newline], as: UTF8.self), isError: isError)
                    rest.removeSubrange(...newline)
                }
            }
        } catch {
            append("(stream failed: \(error))", isError: true)
        }
        if !rest.isEmpty { append(String(decoding: rest, as: UTF8.self), isError: isError) }
    }
}
