// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

extension Tag {
    /// Drives the release binary with real parts.
    @Tag static var integration: Self
}

extension Trait where Self == TimeLimitTrait {
    /// Ends what hangs. No promise: waiting for room among all the other tests counts, too.
    static var untilHung: Self { .timeLimit(.minutes(30)) }
}

/// A proxy and where its one link listens.
struct Proxy: Sendable {
    let process: ProcessUnderTest
    let endpoint: Endpoint

    /// How often it has logged a message since it started.
    func count(of message: String) -> Int { process.lines(containing: message).count }

    static let stale = "knowledge is stale"
    static let fresh = "knowledge is fresh again"

    /// Waits until every outage is over that it has told of: a busy machine may have let etcd be silent for a moment.
    /// - Returns: how many there were, of each of which it has said both.
    func pastOutages() async throws -> Int {
        try await waitForValue("knowledge to be fresh") {
            let (stale, fresh) = (count(of: Self.stale), count(of: Self.fresh))
            return stale == fresh ? stale : nil
        }
    }
}

/// A registrator and the key that it keeps.
struct RegisterProcess: Sendable {
    let process: ProcessUnderTest
    let key: String
    let endpoint: Endpoint
}

extension Stage {
    /// Starts `legation proxy` for one service, on a free port of loopback, allowed to dial loopback.
    func proxy(_ service: String, etcd: EtcdProcess, _ more: [String] = []) async throws -> Proxy {
        let process = try await legation(proxyArguments(service, etcd: etcd, more))
        return Proxy(process: process, endpoint: try await process.listeningEndpoint())
    }

    func proxyArguments(_ service: String, etcd: EtcdProcess, _ more: [String] = []) -> [String] {
        ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"] + etcd.arguments + more + ["\(service):0"]
    }

    /// Starts `legation register` with the shortest lease there is and waits until the key stands.
    func register(
        _ service: String, _ endpoint: Endpoint, etcd: EtcdProcess, node: String = "hostA", ttl: String = "5s",
        _ more: [String] = [], fields: [String] = []
    ) async throws -> RegisterProcess {
        let arguments = registerArguments(service, endpoint, etcd: etcd, node: node, ttl: ttl, more)
        let process = try await legation(arguments + fields)
        let key = "/services/\(service)/\(node):\(endpoint.address):\(endpoint.port)"
        try await waitFor("\(key) in etcd") { try await etcd.key(key) != nil }
        return RegisterProcess(process: process, key: key, endpoint: endpoint)
    }

    func registerArguments(
        _ service: String, _ endpoint: Endpoint, etcd: EtcdProcess, node: String = "hostA", ttl: String = "5s",
        _ more: [String] = []
    ) -> [String] {
        let own = ["register", "--address", "\(endpoint)", "--allow-loopback", "--ttl", ttl, "--node", node]
        return own + etcd.arguments + more + [service]
    }

    /// Starts `legation forward` on a free port of loopback.
    func forward(_ targets: [String], listen: String = "127.0.0.1:0", _ more: [String] = []) async throws -> Proxy {
        let process = try await legation(["forward", "--listen", listen] + more + targets)
        return Proxy(process: process, endpoint: try await process.listeningEndpoint())
    }

    /// What `legation services --json` says, parsed, to whom loopback may be dialled.
    func services(etcd: EtcdProcess, _ more: [String] = []) async throws -> ServicesAnswer {
        let loopback = ["--allow-target", "127.0.0.0/8"]
        let outcome = try await runLegation(["services", "--json"] + loopback + etcd.arguments + more)
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        return try ServicesAnswer(outcome.output)
    }
}

extension EtcdByHand {
    /// Puts an instance by hand, in the seed's own JSON.
    func putInstance(_ key: String, _ endpoint: Endpoint, lease: String? = nil, more: String = "") async throws {
        try await put(key, #"{"port":\#(endpoint.port),"host":"\#(endpoint.address)"\#(more)}"#, lease: lease)
    }
}

/// One round of a client of `Backend.naming` backends.
func servedBy(_ endpoint: Endpoint, limit: Duration = .seconds(10)) async throws -> String {
    try await blocking { try ClientLoop.round(to: endpoint, limit: limit) }
}

/// Connects and waits for what comes.
/// - Returns: whether the connection was reset or refused, as a client without an instance is to see it.
func isReset(_ endpoint: Endpoint, limit: Duration = .seconds(10)) async throws -> Bool {
    try await blocking {
        do {
            let connection = try TCPConnection.connect(to: endpoint, limit: limit)
            let line = try connection.receiveLine()
            throw Unexpected("neither reset nor refused, but \(line ?? "an end")")
        } catch let failure as SocketFailure {
            return failure.isReset || failure.isRefused
        }
    }
}

/// Asks until `names` is exactly the set of backends that the last `window` rounds met.
func serves(_ endpoint: Endpoint, exactly names: Set<String>, window: Int) async throws -> Bool {
    var seen: Set<String> = []
    for _ in 0..<window { seen.insert(try await servedBy(endpoint)) }
    return seen == names
}
