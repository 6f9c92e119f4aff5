// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// With hold off the table is a plain fold of what stands in the registry, whatever happened on the way: the
/// instances that the relay is given, brought up to date piece by piece, are those that a look at everything would
/// give.
@Suite struct FoldTests {
    /// Fewer slots than there are endpoints, so that instances have to wait for one.
    private static let slots = 5
    private static let endpoints = 1...6

    /// What of an instance the relay goes by.
    private struct Use: Hashable {
        let endpoint: Endpoint?
        let weight: Int
        let priority: Int
    }

    /// A table, what its registry holds, and what the relay was told last.
    private struct Round {
        var random: SplitMix
        var harness: TableHarness
        var words: [EntryKey: EndpointTable.Override] = [:]
        /// What the watch has lost.
        var missed: [([RegistryChange], Int64)] = []
        var last: [Instance] = []

        init(seed: UInt64) throws {
            random = SplitMix(seed: seed)
            harness = try TableHarness(hold: .zero, capacity: FoldTests.slots)
        }
    }

    @Test(arguments: [UInt64](1...40))
    func equalsAPlainFoldWithoutHold(_ seed: UInt64) throws {
        var round = try Round(seed: seed)
        for _ in 0..<300 {
            round.harness.passSilently(.milliseconds(Int64.random(in: 0...3000, using: &round.random)))
            switch Int.random(in: 0..<12, using: &round.random) {
            case 0: speak(&round)
            case 1: round.harness.table.setDisbelieved(Bool.random(using: &round.random))
            default: write(&round)
            }
            look(&round)
        }
        round.harness.table.setDisbelieved(false)
        for (changes, revision) in round.missed {
            round.harness.act(round.harness.table.changed(changes, revision: revision, now: round.harness.now))
        }
        round.missed = []
        look(&round)
        #expect(round.harness.probes.isEmpty && round.harness.leaseQuestions.isEmpty)
    }

    /// Somebody writes one to three keys; the watch tells of it, or a listing does, or nobody yet.
    private func write(_ round: inout Round) {
        var puts: [(String, [UInt8], RegistryLease?)] = []
        var deletes: Set<String> = []
        for _ in 0..<Int.random(in: 1...3, using: &round.random) {
            let name = "\(Int.random(in: 1...8, using: &round.random))"
            if deletes.contains(name) || puts.contains(where: { $0.0 == TableHarness.key(name) }) { continue }
            if Int.random(in: 0..<3, using: &round.random) == 0 {
                deletes.insert(name)
            } else {
                puts.append(TableHarness.put(name, Self.value(&round.random)))
            }
        }
        let changes = round.harness.write(puts, deleting: deletes.sorted())
        let revision = round.harness.revision
        switch Int.random(in: 0..<8, using: &round.random) {
        case 0: round.missed.append((changes, revision))
        case 1:
            round.harness.reset()
            round.missed = []
        case _ where !round.missed.isEmpty: round.missed.append((changes, revision))
        default:
            // A server that repeats itself changes nothing.
            for _ in 0..<2 {
                round.harness.act(round.harness.table.changed(changes, revision: revision, now: round.harness.now))
            }
        }
    }

    /// An operator says something about one instance, or about all, or takes it back.
    private func speak(_ round: inout Round) {
        let name = Bool.random(using: &round.random) ? "*" : "\(Int.random(in: 1...8, using: &round.random))"
        let weight = Int.random(in: 0...3, using: &round.random)
        let word: OverrideRecord.Word? =
            switch Int.random(in: 0..<3, using: &round.random) {
            case 0: .draining
            case 1: .weight(weight)
            default: nil
            }
        round.words[EntryKey(name)] = word.map {
            EndpointTable.Override(OverrideRecord($0, by: nil, since: nil, until: nil), until: nil)
        }
        round.harness.say(round.words)
    }

    /// Takes a snapshot and compares it with everything that stands.
    private func look(_ round: inout Round) {
        let table = round.harness.table
        let mayDiffer = table.hasChanged || table.isShortOfSlots
        var instances = round.harness.instances()
        #expect(mayDiffer || instances == round.last, "nobody would have asked for this snapshot")
        // Slots that have just been let go of are there for those that wait.
        if round.harness.table.isShortOfSlots { instances = round.harness.instances() }
        round.last = instances
        let slots = instances.map(\.id.slot)
        #expect(zip(slots, slots.dropFirst()).allSatisfy { $0 < $1 }, "in the order of slots, each once")
        guard !round.harness.table.isDisbelieved else {
            #expect(instances.isEmpty)
            return
        }
        guard round.missed.isEmpty else { return }
        let folded = Self.fold(round.harness.entries, round.words)
        #expect(instances.count == min(folded.count, Self.slots))
        for instance in instances {
            let use = Use(endpoint: instance.endpoint, weight: instance.weight, priority: instance.priority)
            #expect(folded[instance.endpoint]?.contains(use) ?? false, "\(use)")
        }
    }

    private static func value(_ random: inout SplitMix) -> [UInt8] {
        var record = InstanceRecord(endpoint: TableHarness.endpoint(Int.random(in: endpoints, using: &random)))
        record.state = Int.random(in: 0..<3, using: &random) > 0 ? .up : .draining
        record.weight = Int.random(in: 0...2, using: &random)
        record.priority = Int.random(in: 0...1, using: &random)
        record.proto = Int.random(in: 0..<5, using: &random) == 0 ? "udp" : "tcp"
        return record.encoded()
    }

    /// Of each endpoint that is to be used, what it may look like: as its newest key says, of which there may be two.
    private static func fold(
        _ entries: [String: RegistryEntry], _ words: [EntryKey: EndpointTable.Override]
    ) -> [Endpoint?: Set<Use>] {
        var newest: [Endpoint?: (revision: Int64, uses: Set<Use>)] = [:]
        for (key, entry) in entries {
            guard let record = try? InstanceRecord(decoding: entry.value) else { continue }
            let name = String(key.dropFirst(TableHarness.key("").count))
            let word = (words[EntryKey(name)] ?? words["*"])?.record.word
            var weight = record.weight
            if case .weight(let other) = word { weight = other }
            guard record.state == .up, word != .draining, weight > 0, record.proto == "tcp" else { continue }
            let use = Use(
                endpoint: record.endpoint, weight: weight,
                priority: record.priority * (Selection.maximumPreferences + 1))
            var known = newest[record.endpoint] ?? (entry.modRevision, [])
            if entry.modRevision > known.revision { known = (entry.modRevision, []) }
            if entry.modRevision == known.revision { known.uses.insert(use) }
            newest[record.endpoint] = known
        }
        return newest.mapValues(\.uses)
    }
}
