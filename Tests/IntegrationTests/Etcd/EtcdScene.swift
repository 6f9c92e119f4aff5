// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport

/// A proxy, an instance that a registrator keeps and one put by hand, and a mirror: who is there when a fault comes.
struct EtcdScene: Sendable {
    static let prefix = "/services/"

    let cluster: EtcdCluster
    let proxy: Proxy
    let registrator: RegisterProcess
    let mirror: MirrorProcess

    /// Goes on asking the proxy while `body` injects faults. Throws when an endpoint leaves the set in use meanwhile; one
    /// whose key is gone may be held in it.
    /// - Parameter sleeps: whether the proxy is made to sleep meanwhile: who asks it waits for as long as that takes.
    func withTraffic(sleeps: Bool = false, _ body: (ClientLoop) async throws -> Void) async throws -> ClientLoop {
        let before = changes.count
        let limit = Duration.seconds(sleeps ? 120 : 10)
        return try await withClientLoop(to: proxy.endpoint, in: cluster.network, roundLimit: limit) { loop in
            try await body(loop)
            let end = ContinuousClock.now
            try await waitFor("both instances in use") { loop.names(since: end) == ["A", "B"] }
            let lost = changes.dropFirst(before).filter { $0.inUse < 2 }
            guard lost.isEmpty else { throw Unexpected("endpoints left:\n\(proxy.process.lastLines())") }
            return loop
        }
    }

    /// What the proxy says of each change of its endpoints.
    private var changes: [(line: String, inUse: Int)] {
        proxy.process.lines(containing: "endpoint set changed").map { line in
            let fields = LogFields(line.text)
            return (line.text, ["up", "held"].compactMap { fields[$0].flatMap { Int($0) } }.reduce(0, +))
        }
    }
}

extension EtcdCluster {
    /// - Parameter endpoints: of the proxy and the mirror; nil for all members.
    func scene(endpoints: String? = nil) async throws -> EtcdScene {
        let backends = try await ["A", "B"].asyncMap { try await backend($0) }
        let registrator = try await register("web", backends[0].endpoint)
        try await members[0].putInstance("/services/web/by-hand", backends[1].endpoint)
        let proxy = try await proxy("web", place: endpoints.map { ["--etcd", $0] })
        try await waitFor("both instances served") { try await names(behind: proxy) == ["A", "B"] }
        let mirror = try await mirror(EtcdScene.prefix, endpoints: endpoints)
        return EtcdScene(cluster: self, proxy: proxy, registrator: registrator, mirror: mirror)
    }
}

extension Sequence where Element: Sendable {
    /// One after the other.
    func asyncForEach(_ body: (Element) async throws -> Void) async rethrows {
        for element in self { try await body(element) }
    }
}
