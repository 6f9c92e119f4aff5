// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// Whatever is wanted, in whatever order, with whatever faults in between: in the end the store says what is wanted,
/// and nothing else.
@Suite struct WantedPropertyTests {
    private func randomWanted(_ dice: inout SplitMix) throws -> [Wanted] {
        try (0..<3).filter { _ in Bool.random(using: &dice) }.map { number in
            let port = Int.random(in: 7000...7002, using: &dice)
            let registration = try Fixture.registration(instance: "i\(number)", at: "10.77.0.1:\(port)")
            return Wanted(registration, Bool.random(using: &dice) ? .up : .draining)
        }
    }

    private func step(_ bench: inout PlannerBench, _ wanted: inout [Wanted], _ dice: inout SplitMix) throws {
        switch Int.random(in: 0..<20, using: &dice) {
        case 0..<7:
            wanted = try randomWanted(&dice)
            bench.want(wanted)
        case 7..<15: bench.pass(PlannerBench.Fault.allCases.randomElement(using: &dice) ?? .none)
        case 15..<18: bench.elapsed += .milliseconds(Int.random(in: 0...1500, using: &dice))
        case 18:
            // Somebody with etcdctl.
            guard let key = bench.entries.keys.sorted().randomElement(using: &dice) else { return }
            let put = RegistryWrite.Operation.put(Array(#"{"host":"10.0.0.9","port":1}"#.utf8), lease: nil)
            let operation = Bool.random(using: &dice) ? put : .delete
            _ = bench.commit([RegistryWrite(key: key, condition: .none, operation: operation)])
        default:
            bench.loseLease()
            bench.grant()
        }
    }

    @Test(arguments: UInt64(1)...400)
    func endsWithWhatIsWanted(_ seed: UInt64) throws {
        var dice = SplitMix(seed: seed)
        var bench = PlannerBench()
        var wanted: [Wanted] = []
        for _ in 0..<60 {
            try step(&bench, &wanted, &dice)
        }
        for _ in 0..<4 {
            bench.pass()
            bench.elapsed = max(bench.elapsed, bench.planner.deadline ?? bench.elapsed)
        }
        let expected = Dictionary(
            uniqueKeysWithValues: wanted.map {
                ("/services/redis/\($0.registration.instance)", "\($0.registration.endpoint) \($0.state)")
            })
        // What somebody put by hand where we have given up already (with a lease lost, or a delete unanswered) is theirs.
        let own = bench.instances.filter { expected[$0.key] != nil || $0.value != "10.0.0.9:1 up" }
        #expect(own == expected)
        #expect(expected.keys.allSatisfy { bench.entries[$0]?.lease == bench.lease })
        #expect(bench.planner.deadline == nil && bench.planner.keys.count == wanted.count + 1)
        _ = bench.takeHistory()
        #expect(bench.pass().isEmpty && bench.taken.isEmpty)
    }
}
