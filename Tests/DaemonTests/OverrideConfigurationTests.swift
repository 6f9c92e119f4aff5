// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Registry
import ServiceModel
import Testing

@Suite struct OverrideConfigurationTests {
    @Test(arguments: [
        (CommandName.drain, ["web"], "*"), (.drain, ["web", "*"], "*"), (.drain, ["web", "a"], "a"),
        (.weight, ["web", "7"], "*"), (.weight, ["web", "5", "7"], "5"), (.undo, ["web"], "*"),
        (.undo, ["web", "a"], "a"),
    ])
    func withoutAnInstanceAllAreMeant(_ command: CommandName, _ arguments: [String], _ instance: String) throws {
        let configuration = try OverrideConfiguration(
            command, arguments: arguments, settings: SettingValues(flags: [:], environment: [:]))
        #expect(configuration.service.description == "web" && configuration.instance == instance)
        let word: OverrideRecord.Word? = [.drain: .draining, .weight: .weight(7)][command]
        #expect(configuration.word == word)
    }

    // MARK: Whom a word is about

    private func finding(_ instance: String, in store: MemoryStore) async throws -> OverrideWriter.Finding {
        let configuration = try OverrideConfiguration(
            .drain, arguments: ["web", instance], settings: SettingValues(flags: [:], environment: [:]))
        return try await OverrideWriter.finding(configuration, in: store)
    }

    private func put(_ key: String, _ value: String = "{}", in store: MemoryStore) async throws {
        _ = try await store.commit([
            RegistryWrite(key: key, condition: .none, operation: .put(Array(value.utf8), lease: nil))
        ])
    }

    @Test func aNameThatNobodyHasIsComplainedOfWhereTheServiceStands() async throws {
        let store = MemoryStore()
        try await put("/services/web/a", in: store)
        try await put("/services/web/sub/b", in: store)
        #expect(try await finding("a", in: store) == .known)
        #expect(try await finding("*", in: store) == .known)
        let complaint = "no instance b of web is registered; there are a"
        #expect(try await finding("b", in: store) == .unknown(complaint: complaint))
    }

    /// Its key has gone, and it is used.
    @Test func whatIsHeldIsKnown() async throws {
        let store = MemoryStore()
        try await put("/services/web/a", in: store)
        try await put("/services-holds/web/b/p1", in: store)
        #expect(try await finding("b", in: store) == .known)
    }

    /// Links may read it from a prefix of its own, of which the command knows nothing.
    @Test func aServiceOfWhichNothingStandsHereIsWarnedOf() async throws {
        guard case .elsewhere(let warning) = try await finding("x1", in: MemoryStore()) else {
            Issue.record("no warning")
            return
        }
        #expect(warning.contains("x1 of web") && warning.contains("--format web=FORMAT:PREFIX"))
    }
}
