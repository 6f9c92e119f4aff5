// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Many keys, many changes, and a consumer that cannot keep up.
@Suite(.tags(.integration), .untilHung)
struct EtcdLoadTests {
    private static let keys = 10_000

    @Test(.row("F17", "F18", "F20")) func tenThousandKeysAndAHundredChangesASecondDisturbNobody() async throws {
        try await withEtcdCluster(load: .short) { cluster in
            let member = cluster.members[0]
            // It answers at every address of 127.0.0.0/8: ten thousand instances.
            let backend = try await cluster.stage.backend(
                on: .unspecifiedV4, in: cluster.network, Backend.naming("A"))
            let entries = (0..<Self.keys).map { number -> (key: String, value: String?) in
                (
                    "/services/web/\(number)",
                    Self.instance("127.1.\(number / 200).\(number % 200 + 1)", backend.endpoint.port)
                )
            }
            try await member.write(entries)

            for round in ["first start", "restart"] {
                let start = ContinuousClock.now
                let proxy = try await cluster.proxy("web", within: .seconds(120))
                // The time is a figure of `make bench`; here, that it comes at all.
                report(ContinuousClock.now - start, "F17: a proxy of 10,000 keys, \(round)", promise: .seconds(1))
                #expect(try await cluster.names(behind: proxy, rounds: 1) == ["A"])
                // Five times as long: the mirror is a debug build.
                let mirror = try await cluster.mirror(EtcdScene.prefix)
                try await mirror.converges("F17: 10,000 keys, \(round)", with: member, within: .seconds(5))
                for process in [mirror.process, proxy.process] {
                    try process.terminate()
                    try await process.end()
                }
            }
            try await flapping(in: cluster)
        }
    }

    private func flapping(in cluster: EtcdCluster) async throws {
        let member = cluster.members[0]
        let mirror = try await cluster.mirror("\(EtcdScene.prefix)web/flapping")
        let stranger = try await cluster.stage.backend(
            on: .unspecifiedV4, in: cluster.network, Backend.naming("stranger"))
        let both = try await cluster.proxy("web", ["other:0"])
        let proxy = Proxy(
            process: both.process, endpoint: try await both.process.listeningEndpoint(link: "web"))
        let traffic = try await withClientLoop(to: proxy.endpoint, in: cluster.network) { loop in
            let last = try await flap(by: member, stranger)
            try await mirror.converges(
                "F18: 100 changes a second", with: member, within: .milliseconds(250), since: last)
            return loop
        }
        #expect(traffic.failures.isEmpty)
        #expect(traffic.rounds.count > 50)
        #expect(Set(traffic.rounds.compactMap(\.name)) == ["A"], "never an instance of the other service")
        #expect(proxy.count(of: "entry skipped") > 50, "spoilt ones were among the changes")
        let state = try mirror.state()
        #expect(state.reconnects == 0 && state.resyncs == 0 && state.relists == 0)
    }

    /// Values that cannot be read, in the place of some that could: those instances are used on.
    private static let spoilt = ["{", "", #"{"host":"127.1.0.1"}"#, #"{"host":"169.254.169.254","port":80}"#]

    /// Nobody listens on it.
    private static let deadPort: UInt16 = 1

    /// Five seconds of puts and deletes, and of standing values that are spoilt. What comes and goes in the service
    /// itself accepts nobody, what does in another one served by the same proxy says another name: whoever is sent to
    /// the wrong one sees it.
    /// - Returns: when the last was made.
    private func flap(by member: EtcdProcess, _ stranger: Backend) async throws -> ContinuousClock.Instant {
        let start = ContinuousClock.now
        for number in 0..<500 {
            let (name, address) = ("flapping-\(number / 2 % 10)", "127.2.0.\(number / 2 % 10 + 1)")
            let stands = number.isMultiple(of: 2) || number >= 480
            var changes: [(key: String, value: String?)] = [
                ("/services/web/\(name)", stands ? Self.instance(address, Self.deadPort) : nil),
                ("/services/other/\(name)", stands ? Self.instance(address, stranger.endpoint.port) : nil),
            ]
            if number.isMultiple(of: 5) {
                changes.append(("/services/web/\(number)", Self.spoilt[number / 5 % Self.spoilt.count]))
            }
            try await member.write(changes)
            try await Task.sleep(until: start + .milliseconds(10 * number))
        }
        let took = ContinuousClock.now - start
        report(took, "F18: 500 changes", promise: .seconds(5))
        return .now
    }

    private static func instance(_ address: String, _ port: UInt16) -> String {
        #"{"port":\#(port),"host":"\#(address)"}"#
    }

    @Test(.row("F19")) func aSlowConsumerListsAnewInsteadOfGrowing() async throws {
        try await withEtcdCluster(load: .short) { cluster in
            let member = cluster.members[0]
            // 2,000 changes to 20 keys: 40 MB when they are kept, 400 kB as a table.
            let value = String(repeating: "x", count: 20_000)
            let table = (0..<20).map { number -> (key: String, value: String?) in ("/slow/\(number)", value) }
            try await member.write(table)
            let mirror = try await cluster.mirror("/slow/", ["--queue-limit", "100", "--apply-delay", "150"])
            // What a table of this size takes in all, once.
            try await member.write(table)
            try await mirror.converges("F19: before the load", with: member, within: .seconds(8))
            let before = try mirror.process.residentBytes
            for _ in 0..<100 { try await member.write(table, batch: 4) }
            let last = ContinuousClock.now
            let during = try mirror.process.residentBytes
            // 500 revisions at 150 ms would take 75 s, far longer than the writing on any machine. A queue of 100 changes
            // is 25 of them: that, a listing, and once more.
            try await mirror.converges("F19: a slow consumer", with: member, within: .seconds(8), since: last)
            #expect(try mirror.state().relists > 0)
            let growth = (max(during, try mirror.process.residentBytes) - before) >> 20
            print("measured: F19: memory grew by \(growth) MB")
            #expect(growth <= 20)
        }
    }
}
