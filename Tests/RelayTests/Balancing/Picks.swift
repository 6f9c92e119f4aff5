// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel

@testable import Relay

extension LinkTable {
    /// Instances at different addresses, with these ids and weights.
    /// - Parameter priorities: of the first of them; of the others 0.
    convenience init(
        of instances: [(id: InstanceID, weight: Int)], priorities: [Int] = [], balance: Balance, ledger: InstanceLedger
    ) {
        let all = instances.enumerated().map { index, instance in
            let address = IPAddress(v4: 0x0a00_0000 + instance.id.slot)
            return Instance(
                id: instance.id, endpoint: Endpoint(address, port: UInt16(truncatingIfNeeded: instance.id.generation)),
                weight: instance.weight, priority: index < priorities.count ? priorities[index] : 0)
        }
        self.init(EndpointSnapshot(sequence: 1, instances: all), balance: balance, ledger: ledger)
    }
}

/// A link of one worker and its clients, without sockets: every connection is made at once, and stays until it is ended.
struct Picks {
    let ledger = InstanceLedger()
    let balance: Balance
    var turn: Turn
    var random: QuickRandom
    var table: LinkTable
    /// Nanoseconds.
    var now: UInt64 = 1
    var isPanicking = false
    var room = UInt32.max
    let policy: EjectionPolicy
    private let limits = ConnectRounds.Limits(RetryPolicy())

    init(
        _ weights: [Int], priorities: [Int] = [], _ balance: Balance, seed: UInt64 = 1, worker: Int = 0,
        policy: EjectionPolicy = EjectionPolicy()
    ) {
        self.balance = balance
        self.policy = policy
        turn = Turn(worker: worker)
        random = QuickRandom(seed: seed)
        table = LinkTable(of: Self.ids(weights), priorities: priorities, balance: balance, ledger: ledger)
    }

    static func ids(_ weights: [Int]) -> [(id: InstanceID, weight: Int)] {
        weights.enumerated().map { (InstanceID(slot: UInt32($0), generation: 1), $1) }
    }

    var candidates: Candidates { candidates(of: nil) }

    func candidates(of source: UInt64?) -> Candidates {
        Candidates(
            table: table.view, cells: ledger.cells, balance: balance, isPanicking: isPanicking, now: now,
            source: source, ejection: EjectionPolicy.Limits(policy), room: room)
    }

    /// The instances of a client's rounds, none of which accepts: an array for each round.
    mutating func attempts(of source: UInt64? = nil) -> [[InstanceID]] {
        var rounds = ConnectRounds(now: now, limits: limits)
        var all: [[InstanceID]] = [[]]
        while true {
            switch rounds.next(of: candidates(of: source), &turn, limits: limits, &random, jitter: 0.5) {
            case .attempt(let index, _): all[all.count - 1].append(table.view.ids[index])
            case .pause(let until):
                now = until
                all.append([])
            case .noInstance, .giveUp: return all
            }
        }
    }

    /// A new connection that its first instance takes. - Returns: its slot.
    mutating func connect(from source: UInt64? = nil) -> Int {
        var rounds = ConnectRounds(now: now, limits: limits)
        let step = rounds.next(of: candidates(of: source), &turn, limits: limits, &random, jitter: 0.5)
        guard case .attempt(let index, _) = step else { preconditionFailure("no instance: \(step)") }
        let id = table.view.ids[index]
        precondition(ledger.takePlace(id, room: room), "no room")
        return Int(id.slot)
    }

    func end(_ slot: Int) { ledger.connectionClosed(InstanceID(slot: UInt32(slot), generation: 1)) }

    /// Takes an instance out of use. - Returns: until when.
    @discardableResult
    func eject(_ slot: Int) -> UInt64 {
        let cell = ledger.cells[InstanceID(slot: UInt32(slot), generation: 1)]
        var until: UInt64?
        for _ in 0..<3 {
            until = cell.pointee.failed(now: now, EjectionPolicy.Limits(policy)) { _ in true } ?? until
        }
        return until ?? 0
    }
}
