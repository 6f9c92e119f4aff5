// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Logging
import Relay
import ServiceModel
import Synchronization
import Testing

/// What was logged, line by line.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var logger: Logger {
        Logger(label: "test") { [self] _ in
            LineLogHandler(level: .info) { line in self.lines.withLock { $0.append(line) } }
        }
    }

    func having(_ text: String) -> [String] { lines.withLock { $0.filter { $0.contains(text) } } }

    /// Waits until some line has `text`; the test's time limit is the deadline.
    func wait(for text: String) async throws {
        while having(text).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct RelayPartsTests {
    private let link = Link(id: Link.ID(0), name: "demo")

    private func parts(_ address: ListenAddress, _ logger: Logger) throws -> RelayParts {
        let door = RelayParts.Door(link: link, listen: address, policy: LinkPolicy())
        let settings = try RelaySettings(settings: SettingValues(flags: [.workers: ["2"]], environment: [:]))
        return try RelayParts(doors: [door], settings: settings, logger: logger)
    }

    private var anyPort: ListenAddress { .at(Endpoint(.loopbackV4, port: 0)) }

    @Test func opensALinkWithItsFirstSnapshotAndOnlyOnce() throws {
        let lines = Lines()
        let parts = try parts(anyPort, lines.logger)
        #expect(parts.listeners.ownEndpoints.isEmpty)
        try parts.apply(EndpointSnapshot(sequence: 1, instances: []), to: link.id)
        #expect(parts.listeners.ownEndpoints.count == 1)
        try parts.apply(EndpointSnapshot(sequence: 2, instances: []), to: link.id)
        #expect(lines.having("\"listening\"").count == 1)
    }

    @Test func refusesAPortThatIsTakenBeforeAnythingElse() throws {
        let first = try parts(anyPort, Lines().logger)
        try first.open(link.id)
        let taken = try #require(first.listeners.ownEndpoints.first)
        let error = #expect(throws: SyscallError.self) { try parts(.at(taken), Lines().logger) }
        #expect(error.map { "\($0)".contains("\(taken)") } == true)
    }

    @Test func tellsOfRefusedClientsOnceAndThenSumsUp() async throws {
        let lines = Lines()
        let message = "client refused, the link has no instance"
        let parts = try parts(anyPort, lines.logger)
        try parts.apply(EndpointSnapshot(sequence: 1, instances: []), to: link.id)
        let own = try #require(parts.listeners.ownEndpoints.first)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await parts.engine.run() }
            group.addTask { await Bridge(events: parts.engine.events).run(parts.reporter.report) }
            // The reset may come before the prober has looked, so its answer says nothing.
            for _ in 0..<3 { _ = await ConnectProber().accepts(own, within: .seconds(5)) }
            try await lines.wait(for: message)
            while parts.engine.statistics().links.first?.accepted != 3 {
                try await Task.sleep(for: .milliseconds(5))
            }
            parts.engine.shutdown(deadline: .now)
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(lines.having(message).count == 1)
        // The summary comes when telling ends, at the latest.
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await parts.reporter.run(droppedEvents: { 0 }) }
            group.cancelAll()
        }
        #expect(lines.having("\(message)\" link=demo repeats=2").count == 1)
    }
}
