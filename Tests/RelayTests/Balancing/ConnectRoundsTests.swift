// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

@Suite struct ConnectRoundsTests {
    private static let millisecond: UInt64 = 1_000_000
    private let limits = ConnectRounds.Limits(RetryPolicy())

    @Test func roundTriesThreeDifferentInstances() {
        var client = Client(limits: limits)
        let ids = instances(5)
        #expect(client.attempts(of: ids, balance: .roundRobin) == [0, 1, 2])
        #expect(client.cursor == 3)
        #expect(client.isPaused)
    }

    @Test func roundOfFewInstancesTriesEachOnce() {
        var client = Client(limits: limits)
        #expect(client.attempts(of: instances(2), balance: .roundRobin) == [0, 1])
        #expect(client.attempts(of: instances(2), balance: .roundRobin) == [0, 1])
        #expect(client.attempts(of: instances(1), balance: .roundRobin) == [0])
    }

    @Test(arguments: [Balance.roundRobin, .first])
    func newRoundPrefersInstancesNotYetTried(balance: Balance) {
        var client = Client(limits: limits)
        let ids = instances(5)
        #expect(client.attempts(of: ids, balance: balance) == [0, 1, 2])
        #expect(client.attempts(of: ids, balance: balance) == [3, 4, 0])
    }

    @Test func othersMoveTheTurnWithoutHidingAnyInstance() {
        var client = Client(limits: limits)
        let ids = instances(6)
        #expect(client.attempts(of: ids, balance: .roundRobin) == [0, 1, 2])
        // Others had the next three meanwhile; those are still the ones that this client has not tried.
        client.cursor = 6
        #expect(Set(client.attempts(of: ids, balance: .roundRobin)) == [3, 4, 5])
    }

    @Test func newSnapshotIsMatchedByInstanceNotByPlace() {
        var client = Client(limits: limits)
        var ids = instances(3)
        #expect(client.attempts(of: ids, balance: .first) == [0, 1, 2])
        ids.insert(InstanceID(slot: 9, generation: 1), at: 1)
        #expect(client.attempts(of: ids, balance: .first).first == 1)
    }

    @Test func anotherTenantOfTheSameSlotIsAnotherInstance() {
        var client = Client(limits: limits)
        #expect(client.attempts(of: instances(1), balance: .roundRobin) == [0])
        let renewed = [InstanceID(slot: 0, generation: 2), InstanceID(slot: 0, generation: 1)]
        #expect(client.attempts(of: renewed, balance: .first).first == 0)
    }

    @Test func firstBeginsWithTheFirstForEveryClient() {
        let ids = instances(4)
        for _ in 0..<3 {
            var client = Client(limits: limits)
            #expect(client.attempts(of: ids, balance: .first) == [0, 1, 2])
            #expect(client.cursor == 0)
        }
    }

    @Test func pauseIsJitteredByAQuarter() {
        let ids = instances(1)
        for (jitter, milliseconds) in [(0.0, 150), (0.5, 200), (1.0, 250)] {
            var client = Client(limits: limits)
            client.jitter = jitter
            _ = client.attempts(of: ids, balance: .roundRobin)
            #expect(client.now == UInt64(milliseconds) * Self.millisecond)
        }
    }

    @Test func attemptEndsWithTheTotalAtTheLatest() {
        var client = Client(limits: limits)
        #expect(client.next(instances(1)) == .attempt(index: 0, deadline: 1_000 * Self.millisecond))
        client.now = 4_700 * Self.millisecond
        _ = client.next(instances(1))
        client.now = 4_900 * Self.millisecond
        #expect(client.next(instances(1)) == .attempt(index: 0, deadline: 5_000 * Self.millisecond))
    }

    @Test func givesUpWhenTheTimeIsOverOrWouldBeBeforeTheNextRound() {
        var late = Client(limits: limits)
        late.now = 5_000 * Self.millisecond
        #expect(late.next(instances(1)) == .giveUp)
        var nearly = Client(limits: limits)
        nearly.now = 4_850 * Self.millisecond
        #expect(nearly.attempts(of: instances(1), balance: .roundRobin) == [0])
        #expect(nearly.last == .giveUp)
    }

    @Test func emptyTableIsNoInstanceWhenever() {
        var client = Client(limits: limits)
        #expect(client.next([]) == .noInstance)
        _ = client.attempts(of: instances(2), balance: .roundRobin)
        #expect(client.next([]) == .noInstance)
    }

    private func instances(_ count: Int) -> [InstanceID] {
        (0..<count).map { InstanceID(slot: UInt32($0), generation: 1) }
    }
}

/// A client all of whose attempts fail at once.
private struct Client {
    var rounds: ConnectRounds
    let limits: ConnectRounds.Limits
    let ledger = InstanceLedger()
    var turn = Turn(worker: 0)
    var random = QuickRandom(seed: 1)
    var now: UInt64 = 0
    var jitter = 0.5
    var last: ConnectRounds.Step?

    init(limits: ConnectRounds.Limits) {
        self.limits = limits
        rounds = ConnectRounds(now: 0, limits: limits)
    }

    var cursor: Int {
        get { turn.cursor }
        set { turn.cursor = newValue }
    }

    var isPaused: Bool { if case .pause = last { true } else { false } }

    mutating func next(_ ids: [InstanceID], balance: Balance = .roundRobin) -> ConnectRounds.Step {
        let table = LinkTable(of: ids.map { ($0, 100) }, balance: balance, ledger: ledger)
        let candidates = Candidates(
            table: table.view, cells: ledger.cells, balance: balance, now: now,
            ejection: EjectionPolicy.Limits(EjectionPolicy()))
        let step = withExtendedLifetime(table) {
            rounds.next(of: candidates, &turn, limits: limits, &random, jitter: jitter)
        }
        last = step
        return step
    }

    /// The indices of one round; time moves on to the end of the pause after it.
    mutating func attempts(of ids: [InstanceID], balance: Balance) -> [Int] {
        var indices: [Int] = []
        while case .attempt(let index, _) = next(ids, balance: balance) { indices.append(index) }
        if case .pause(let until) = last { now = until }
        return indices
    }
}
