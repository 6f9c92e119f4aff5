// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport

/// What runs beside a cluster, in its network: commands that know all members, and clients of theirs.
extension EtcdCluster {
    /// Starts `legation proxy` for one service, allowed to dial loopback.
    /// - Parameters:
    ///   - place: by which it finds etcd; nil for all members.
    ///   - limit: how long it may take to listen.
    func proxy(
        _ service: String, place: [String]? = nil, _ more: [String] = [], within limit: Duration = .seconds(20)
    ) async throws -> Proxy {
        let own = ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"]
        let process = try await legation(own + (place ?? arguments) + more + ["\(service):0"])
        return Proxy(process: process, endpoint: try await process.listeningEndpoint(within: limit))
    }

    /// Starts `legation register` with the shortest lease there is and waits until the key stands.
    /// - Parameters:
    ///   - place: by which it finds etcd; nil for all members.
    ///   - root: who may look, where there are users.
    func register(
        _ service: String, _ endpoint: Endpoint, node: String = "hostA", place: [String]? = nil, ttl: String = "5s",
        _ more: [String] = [], seenBy root: EtcdUser? = nil
    ) async throws -> RegisterProcess {
        let process = try await startRegister(service, endpoint, node: node, place: place, ttl: ttl, more)
        let registrator = RegisterProcess(
            process: process, key: "/services/\(service)/\(node):\(endpoint.address):\(endpoint.port)",
            endpoint: endpoint)
        try await waitFor("\(registrator.key) in etcd") {
            if let root { return try await !root.table(registrator.key).isEmpty }
            return try await !members[0].table(registrator.key).isEmpty
        }
        return registrator
    }

    /// Starts the same and waits for nothing.
    func startRegister(
        _ service: String, _ endpoint: Endpoint, node: String = "hostA", place: [String]? = nil, ttl: String = "5s",
        _ more: [String] = []
    ) async throws -> ProcessUnderTest {
        let own = ["register", "--address", "\(endpoint)", "--allow-loopback", "--ttl", ttl, "--node", node]
        return try await legation(own + (place ?? arguments) + more + [service])
    }

    /// What `legation services --json` says, parsed, to whom loopback may be dialled.
    func services(_ more: [String] = []) async throws -> ServicesAnswer {
        let loopback = ["--allow-target", "127.0.0.0/8"]
        let outcome = try await runLegation(["services", "--json"] + loopback + arguments + more)
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        return try ServicesAnswer(outcome.output)
    }

    /// A backend that says its name to whoever connects.
    func backend(_ name: String) async throws -> Backend {
        try await stage.backend(in: network, Backend.naming(name))
    }

    /// The backends that clients of a proxy meet, one after the other.
    func names(behind proxy: Proxy, rounds: Int = 4) async throws -> Set<String> {
        try await network.run { try Set((0..<rounds).map { _ in try ClientLoop.round(to: proxy.endpoint) }) }
    }
}
