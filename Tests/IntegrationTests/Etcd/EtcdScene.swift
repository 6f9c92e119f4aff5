// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport

/// A proxy, an instance that a registrator keeps and one put by hand, and a mirror: who is there when a fault comes.
struct EtcdScene: Sendable {
    static let prefix = "/services/"
    static let stale = "knowledge is stale"
    static let fresh = "knowledge is fresh again"

    let cluster: EtcdCluster
    let proxy: Proxy
    let registrator: Registrator
    let mirror: MirrorProcess

    /// Goes on asking the proxy while `body` injects faults. Throws when an endpoint leaves the set in use meanwhile; one
    /// whose key is gone may be held in it.
    func withTraffic(_ body: (ClientLoop) async throws -> Void) async throws -> ClientLoop {
        let before = changes.count
        return try await withClientLoop(to: proxy.endpoint, in: cluster.network) { loop in
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
        let backends = try await ["A", "B"].asyncMap { name in
            try await stage.backend(in: network, Backend.naming(name))
        }
        let registrator = try await register("web", backends[0].endpoint)
        try await members[0].putInstance("/services/web/by-hand", backends[1].endpoint)
        let proxy = try await proxy("web", endpoints: endpoints)
        try await waitFor("both instances served") {
            var names: Set<String> = []
            for _ in 0..<4 { names.insert(try await self.servedBy(proxy.endpoint)) }
            return names == ["A", "B"]
        }
        let mirror = try await mirror(EtcdScene.prefix, endpoints: endpoints)
        return EtcdScene(cluster: self, proxy: proxy, registrator: registrator, mirror: mirror)
    }

    /// Starts `legation proxy` among the cluster's clients.
    func proxy(_ service: String, endpoints: String? = nil) async throws -> Proxy {
        let process = try await legation([
            "proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8", "--etcd", endpoints ?? self.endpoints,
            "\(service):0",
        ])
        return Proxy(process: process, endpoint: try await process.listeningEndpoint())
    }

    /// Starts `legation register` with the shortest lease there is and waits until the key stands.
    func register(_ service: String, _ endpoint: Endpoint) async throws -> Registrator {
        let process = try await legation([
            "register", "--address", "\(endpoint)", "--allow-loopback", "--ttl", "5s", "--node", "hostA", "--etcd",
            endpoints, service,
        ])
        let key = "/services/\(service)/hostA:\(endpoint.address):\(endpoint.port)"
        try await waitFor("\(key) in etcd") { try await self.members[0].key(key) != nil }
        return Registrator(process: process, key: key, endpoint: endpoint)
    }

    /// One round of a client within the cluster's network.
    func servedBy(_ endpoint: Endpoint) async throws -> String {
        try await network.run { try ClientLoop.round(to: endpoint) }
    }
}

extension Sequence where Element: Sendable {
    /// One after the other.
    func asyncForEach(_ body: (Element) async throws -> Void) async rethrows {
        for element in self { try await body(element) }
    }
}
