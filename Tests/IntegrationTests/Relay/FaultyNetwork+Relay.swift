// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport

/// A relay and its clients within a network whose packets can be made to vanish.
extension FaultyNetwork {
    /// Starts `legation forward` on a free port of the network's loopback.
    /// - Parameter wrapper: a program that becomes the relay, with its arguments.
    func forward(_ targets: [Endpoint], _ more: [String] = [], wrapper: [String] = []) async throws -> Proxy {
        let words =
            try wrapper + [LegationBinary.path, "forward", "--listen", "127.0.0.1:0"] + more
            + targets.map { "\($0)" }
        let process = try await stage.start(Command(words[0], Array(words.dropFirst()), networkOf: holder))
        return Proxy(process: process, endpoint: try await process.listeningEndpoint())
    }

    /// Starts `legation proxy` for a service of these instances, put by hand as `/services/web/0` and so on; all of them
    /// are in use when it returns.
    func proxy(_ instances: [Endpoint], _ more: [String] = []) async throws -> Proxy {
        try await proxyAndEtcd(instances, more).0
    }

    /// The same, with the etcd that the instances stand in.
    func proxyAndEtcd(_ instances: [Endpoint], _ more: [String] = []) async throws -> (Proxy, EtcdProcess) {
        let etcd = try await stage.etcd(network: holder)
        for (number, instance) in instances.enumerated() {
            try await etcd.putInstance(Self.key(number), instance)
        }
        let process = try await stage.legation(
            stage.proxyArguments("web", etcd: etcd, more), networkOf: holder)
        return (Proxy(process: process, endpoint: try await process.listeningEndpoint()), etcd)
    }

    /// Backends that say these names, at the addresses 1 and up.
    func backends(_ names: String...) async throws -> [Backend] {
        var backends: [Backend] = []
        for name in names { backends.append(try await backend(backends.count + 1, Backend.naming(name))) }
        return backends
    }

    static func key(_ number: Int) -> String { "/services/web/\(number)" }

    /// One round of a client of `Backend.naming` backends.
    func servedBy(_ relay: Proxy, limit: Duration = .seconds(10)) async throws -> String {
        try await network.run { try ClientLoop.round(to: relay.endpoint, limit: limit) }
    }

    /// A connection to the relay.
    func connect(
        _ relay: Proxy, from source: IPAddress? = nil, limit: Duration = .seconds(30)
    ) async throws -> TCPConnection {
        try await network.run { try TCPConnection.connect(to: relay.endpoint, from: source, limit: limit) }
    }
}

extension [ClientLoop.Round] {
    /// The middle one of the times that rounds took.
    var medianTime: Duration { map(\.took).sorted()[count / 2] }
    /// The longest.
    var longestTime: Duration { map(\.took).max() ?? .zero }
    /// The part of them that `name` served, 0...1.
    func share(of name: String) -> Double {
        isEmpty ? 0 : Double(count { $0.name == name }) / Double(count)
    }
}
