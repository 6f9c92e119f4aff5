// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Dispatch
package import Relay
private import Synchronization

/// Where the worker threads' world ends and the tasks' begins: turns the relay's eventfd into batches of events.
///
/// ## Concurrency
/// One `run`. Nothing wakes up while nothing happens; under load one batch is taken every 100 ms, so that telling costs
/// the same whether ten connections end in a second or ten thousand.
package struct Bridge: Sendable {
    /// Between two batches. With rings of 4,096 records a worker may end 40,000 connections a second before one is lost.
    private static let rest = Duration.milliseconds(100)
    package static let eventCapacity = 4096

    private let events: RelayEvents

    package init(events: RelayEvents) { self.events = events }

    /// Hands over every event until cancelled, and what is left then.
    package func run(_ body: @Sendable ([RelayEvent]) -> Void) async {
        let (readable, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let source = PausingSource(descriptor: events.descriptor) { continuation.yield() }
        for await _ in readable {
            take(body)
            try? await Task.sleep(for: Self.rest)
            source.resume()
        }
        source.end()
        take(body)
    }

    private func take(_ body: ([RelayEvent]) -> Void) {
        var batch: [RelayEvent] = []
        events.drain { batch.append($0) }
        if !batch.isEmpty { body(batch) }
    }
}

/// A readable descriptor that is looked at again only when its reader says so: a dispatch source is level-triggered, and
/// would otherwise call without end until the reader has come round.
private final class PausingSource: Sendable {
    private struct State {
        var isSuspended = false
        var isEnded = false
    }

    // Safety: dispatch sources may be used from any thread; who suspends and resumes is decided under `state`.
    nonisolated(unsafe) private let source: any DispatchSourceRead
    private let state = Mutex(State())

    init(descriptor: Int32, _ becameReadable: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "legation.events"))
        source.setEventHandler { [weak self] in
            self?.suspend()
            becameReadable()
        }
        source.activate()
    }

    private func suspend() {
        state.withLock { state in
            guard !state.isEnded, !state.isSuspended else { return }
            state.isSuspended = true
            source.suspend()
        }
    }

    func resume() {
        state.withLock { state in
            guard state.isSuspended else { return }
            state.isSuspended = false
            source.resume()
        }
    }

    /// For good. A source must not be let go of while it is suspended.
    func end() {
        resume()
        state.withLock { $0.isEnded = true }
        source.cancel()
        resume()
    }
}
