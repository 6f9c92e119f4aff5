// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `--select`, `--prefer`, priorities and weights, as clients see them.
@Suite(.tags(.integration), .untilHung)
struct SelectionTests {
    /// A change in etcd reaches the next new connection (docs/promises.md, "The relay").
    private static let follow = Duration.milliseconds(250)

    @Test func thePreferredAreUsedUntilTheyAreGone() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            // One here, one in our zone, one elsewhere; and one for when all the others are gone.
            let near = try await stage.backend(Backend.naming("near"))
            let zone = try await stage.backend(Backend.naming("zone"))
            let far = try await stage.backend(Backend.naming("far"))
            let last = try await stage.backend(Backend.naming("last"))
            let registrators = [
                try await stage.register("web", near.endpoint, etcd: etcd, node: "hostA", ["--zone", "eu"]),
                try await stage.register("web", zone.endpoint, etcd: etcd, node: "hostB", ["--zone", "eu"]),
            ]
            try await etcd.putInstance("/services/web/far", far.endpoint)
            try await etcd.putInstance("/services/web/last", last.endpoint, more: #","priority":9"#)
            let preferring = ["--node", "hostA", "--prefer", "same-node,zone=eu", "--hold", "0"]
            let proxy = try await stage.proxy("web", etcd: etcd, preferring)

            func onlyServed(by name: String, _ what: String) async throws {
                try await eventually(what, within: Self.follow) {
                    try await serves(proxy.endpoint, exactly: [name], window: 5)
                }
            }
            try await onlyServed(by: "near", "the one on this node")
            // Dead, but registered: its clients go on to the next in the same moment.
            try await withClientLoop(to: proxy.endpoint) { loop in
                try await loop.betweenRounds { near.refuse() }
                try await onlyServed(by: "zone", "the one in this zone")
                #expect(loop.failures.isEmpty)
            }
            // Each would find its key gone at its next look, and put it again.
            for registrator in registrators { try await registrator.process.killAndWait() }
            for registrator in registrators.reversed() { try await etcd.delete(registrator.key) }
            try await onlyServed(by: "far", "the one elsewhere")
            try await etcd.delete("/services/web/far")
            try await onlyServed(by: "last", "the last resort")
        }
    }

    @Test func whatThePreferredHaveNoRoomForSpillsOver() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            for (name, zone) in [("eu1", "eu"), ("eu2", "eu"), ("us", "us")] {
                let backend = try await stage.backend(Backend.naming(name))
                try await etcd.putInstance("/services/web/\(name)", backend.endpoint, more: #","zone":"\#(zone)""#)
            }
            let proxy = try await stage.proxy(
                "web", etcd: etcd, ["--prefer", "zone=eu", "--instance-connections", "web=2"])
            var open: [TCPConnection] = []
            func connect() async throws -> String? {
                let connection = try await blocking { try TCPConnection.connect(to: proxy.endpoint) }
                open.append(connection)
                return try await blocking { try connection.receiveLine() }
            }
            var names: [String?] = []
            for _ in 0..<6 { names.append(try await connect()) }
            #expect(Set(names.prefix(4)) == ["eu1", "eu2"] && names.suffix(2) == ["us", "us"], "\(names)")
            // A place is looked for every 250 ms at the latest, for 5 s.
            async let seventh = blocking {
                try TCPConnection.connect(to: proxy.endpoint).receiveLine()
            }
            open[0].close()
            #expect(try await seventh == names[0])
        }
    }

    @Test func onlyWhatIsSelectedIsUsed() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let blue = try await stage.backend(Backend.naming("blue"))
            let green = try await stage.backend(Backend.naming("green"))
            _ = try await stage.register("web", blue.endpoint, etcd: etcd, fields: ["tags=blue"])
            _ = try await stage.register(
                "web", green.endpoint, etcd: etcd, node: "hostB", fields: ["version=2", "tags=green"])
            let proxies = try await [["tag=blue"], ["meta.version=2"], ["tag!=blue", "node=hostB"], ["zone=eu"]]
                .asyncMap { traits in
                    try await stage.proxy("web", etcd: etcd, traits.flatMap { ["--select", $0] })
                }
            for (proxy, name) in zip(proxies, ["blue", "green", "green"]) {
                try await eventually("\(name) alone", within: Self.follow) {
                    try await serves(proxy.endpoint, exactly: [name], window: 4)
                }
            }
            #expect(try await isReset(proxies[3].endpoint), "nothing is left of the service")
        }
    }

    /// Weights are followed, and nobody is disturbed.
    @Test func weightsChangeUnderOpenConnections() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let backends = try await ["A", "B"].asyncMap { try await stage.backend(Backend.naming($0)) }
            func weigh(_ weights: [Int]) async throws {
                for (index, name) in ["A", "B"].enumerated() {
                    try await etcd.putInstance(
                        "/services/web/\(name)", backends[index].endpoint, more: #","weight":\#(weights[index])"#)
                }
            }
            try await weigh([100, 100])
            let proxy = try await stage.proxy(
                "web", etcd: etcd, ["--balance", "weighted-round-robin", "--workers", "1"])
            let open = try await (0..<8).asyncMap { _ in try await Live(proxy.endpoint) }
            #expect(Set(open.map(\.name)) == ["A", "B"])
            for (weights, expected) in [
                ([300, 100], ["A": 9, "B": 3]), ([0, 50], ["B": 12]), ([7, 7], ["A": 6, "B": 6]),
            ] {
                try await weigh(weights)
                try await eventually("weights \(weights)", within: Self.follow) {
                    var seen: [String: Int] = [:]
                    for _ in 0..<12 { seen[try await servedBy(proxy.endpoint), default: 0] += 1 }
                    return seen == expected
                }
            }
            for live in open { #expect(try await live.goesOn()) }
            try await waitFor("nobody else to be left") { backends.map(\.openConnections).reduce(0, +) == 8 }
        }
    }
}
