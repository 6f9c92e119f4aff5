// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Foundation
import Registry
import ServiceModel
import TestSupport
import Testing

/// A registry written by somebody who means harm, through everything that a proxy does with it: never a crash, and never an
/// address that may not be dialled. `make fuzz` runs it for as long as LEGATION_FUZZ_SECONDS says, from a new seed.
@Suite struct FuzzTests {
    /// docs/promises.md and docs/proxy.md, written out once more: what may be dialled when nobody has said anything.
    private static let allowed = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
        .compactMap { CIDR($0) }
    private static let own = Endpoint(IPAddress(v4: 0x0a00_0001), port: 9000)
    /// What names are found to be by who answers for them: literals that may be dialled and that may not.
    private static let answers = [
        "10.0.0.7", "fd00::7", "127.0.0.1", "169.254.169.254", "0.0.0.0", "fd00:ec2::254", "::1", "8.8.8.8", "10.0.0.1",
    ].compactMap { IPAddress($0) }

    /// How long to go on, and what from.
    private struct Run {
        let seed: UInt64
        let end: ContinuousClock.Instant

        init() {
            let environment = ProcessInfo.processInfo.environment
            let seconds = environment["LEGATION_FUZZ_SECONDS"].flatMap { Int($0) }
            let given = environment["LEGATION_FUZZ_SEED"].flatMap { UInt64($0) }
            seed = given ?? seconds.map { _ in .random(in: 0...(.max)) } ?? 7
            end = ContinuousClock.now + .seconds(seconds ?? 1)
        }
    }

    private func mayBeDialled(_ endpoint: Endpoint) -> Bool {
        Self.allowed.contains { $0.contains(endpoint.address) } && endpoint.address.description != "fd00:ec2::254"
            && endpoint.port > 0 && endpoint != Self.own
    }

    private func harness(_ entries: inout HostileEntries) throws -> TableHarness {
        var source = EntrySource()
        source.resolvesNames = Bool.random(using: &entries.chance)
        if Int.random(in: 0..<3, using: &entries.chance) == 0 {
            source.format = EntryFormat.allCases.randomElement(using: &entries.chance)
        }
        let traits = [Trait(.zone("eu")), Trait(.tag("a")), Trait(.meta(name: "k", text: "1"), isNegated: true)]
        let selection = Bool.random(using: &entries.chance) ? Selection(preferences: traits) : Selection()
        var harness = try TableHarness(selection: selection, source: source)
        harness.act(harness.table.ownEndpointsChanged(to: [Self.own], now: .zero))
        return harness
    }

    private func step(_ harness: inout TableHarness, _ entries: inout HostileEntries) {
        let name = entries.instance()
        switch Int.random(in: 0..<20, using: &entries.chance) {
        case 0: harness.delete(name)
        case 1: harness.reset()
        case 2: harness.pass(.milliseconds(Int64.random(in: 0...5000, using: &entries.chance)))
        case 3:
            let (words, _) = OverrideWords.parse(
                [
                    RegistryEntry(
                        key: "/services-overrides/redis/\(name)", value: entries.value(), modRevision: 1, lease: nil)
                ],
                layout: .standard, wallClock: .now)
            let own = words.first?.value ?? [:]
            harness.say(own.mapValues { EndpointTable.Override($0.record, until: nil) })
        case 4:
            for known in harness.table.names {
                let count = Int.random(in: 1...4, using: &entries.chance)
                harness.resolve(known, Self.answers.shuffled(using: &entries.chance).prefix(count).map(\.self))
            }
        case 5: harness.answer()
        default: harness.put(name, entries.value())
        }
    }

    /// What stands beside the entries is read too.
    private func readTheRest(_ entries: inout HostileEntries) {
        let (value, key) = (entries.value(), "/services-holds/redis/\(entries.instance())")
        let listing = RegistryListing(
            revision: 1, entries: [RegistryEntry(key: key, value: value, modRevision: 1, lease: nil)])
        _ = HoldRow.rows(listing, layout: .standard)
        _ = KeyLayout.standard.parse(key)
        _ = KeyLayout.standard.parsePresence(key)
        _ = try? PresenceRecord(decoding: value, node: "hostA")
        let origin = LastGood.Origin(prefix: "/services", endpoints: [], services: [])
        _ = try? LastGood(decoding: value, for: origin)
    }

    @Test(.row("S8")) func nothingThatStandsInTheRegistryIsDialledThatMayNotBe() async throws {
        try #require(Self.allowed.count == 5 && Self.answers.count == 9)
        let run = Run()
        let seed = run.seed
        var (rounds, used, skipped) = (0, 0, 0)
        repeat {
            // Tests beside it have clocks to keep.
            await Task.yield()
            var entries = HostileEntries(seed: seed &+ UInt64(rounds))
            var harness = try harness(&entries)
            for _ in 0..<300 {
                step(&harness, &entries)
                readTheRest(&entries)
                let instances = harness.instances()
                for instance in instances {
                    let endpoint = try #require(instance.endpoint)
                    #expect(mayBeDialled(endpoint), "seed \(seed &+ UInt64(rounds)): \(endpoint)")
                    #expect((0...1000).contains(instance.weight), "seed \(seed &+ UInt64(rounds))")
                }
                #expect(Set(instances.map(\.id)).count == instances.count, "seed \(seed &+ UInt64(rounds))")
            }
            let report = harness.table.report(now: harness.now)
            used += report.instances.count
            skipped += report.skipped.count
            // What was known last passes the same checks.
            var restarted = try self.harness(&entries)
            restarted.restore(harness.table.lastGood())
            for instance in restarted.instances() { #expect(instance.endpoint.map(mayBeDialled) ?? false) }
            rounds += 1
        } while ContinuousClock.now < run.end
        print("fuzz: seed \(seed), \(rounds) registries of 300 changes, \(used) used, \(skipped) skipped at their ends")
        // Enough of it is good, and enough bad, for the rest to mean something.
        #expect(used > 3 * rounds && skipped > 3 * rounds)
    }

    // MARK: Through a whole watcher

    /// Names that look the same, and one that a store shows for whatever is no text.
    private static let lookalikes = ["\u{e9}", "e\u{301}", "\u{fffd}", "*"]

    private func write(_ entries: inout HostileEntries, to memory: MemoryStore) async throws {
        let roots = ["/services/redis", "/services/redis", "/services-overrides/redis", "/services-overrides/sub/x"]
        let root = roots.randomElement(using: &entries.chance) ?? roots[0]
        let isLookalike = Int.random(in: 0..<8, using: &entries.chance) == 0
        let name = isLookalike ? Self.lookalikes.randomElement(using: &entries.chance) : nil
        let key = "\(root)/\(name ?? entries.instance())"
        let isDelete = Int.random(in: 0..<10, using: &entries.chance) == 0
        let operation = isDelete ? RegistryWrite.Operation.delete : .put(entries.value(), lease: nil)
        _ = try await memory.commit([RegistryWrite(key: key, condition: .none, operation: operation)])
    }

    @Test(.row("S8")) func aWatcherOutlivesWhateverIsWritten() async throws {
        let run = Run()
        let last = TableHarness.endpoint(200)
        var rounds = 0
        repeat {
            var entries = HostileEntries(seed: run.seed &+ UInt64(rounds))
            let harness = try WatcherHarness(
                holder: DiscoveryConfiguration.Holder(node: "hostB", process: "p1"))
            harness.own.value = [Self.own]
            // Some of it stands before the watcher comes, the rest is told to it.
            for _ in 0..<50 { try await write(&entries, to: harness.memory) }
            try await harness.running {
                for _ in 0..<50 { try await write(&entries, to: harness.memory) }
                // Both what is registered and what operators say is still followed.
                try await harness.put("/services-overrides/redis/last", text: #"{"weight":55}"#)
                try await harness.put(TableHarness.key("last"), last)
                try await eventually {
                    harness.seen.newest()?.instances.contains { $0.endpoint == last && $0.weight == 55 } ?? false
                }
            }
            for instance in harness.seen.all().flatMap(\.instances) {
                let endpoint = try #require(instance.endpoint)
                #expect(mayBeDialled(endpoint), "seed \(run.seed &+ UInt64(rounds)): \(endpoint)")
            }
            rounds += 1
        } while ContinuousClock.now < run.end
        print("fuzz: seed \(run.seed), \(rounds) watchers over 100 changes")
    }
}
