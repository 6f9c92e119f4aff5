// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport

extension LabHost {
    /// Starts a Redis in a container, published on the host's own address and a port that the engine chooses.
    /// - Parameter more: further words of `docker run`.
    @discardableResult
    func redis(_ name: String, publish: String? = nil, _ more: [String] = []) async throws -> Endpoint {
        let words = ["run", "-d", "--name", name, "-p", publish ?? "\(address)::6379"] + more + ["redis:local"]
        try await docker(words)
        return try await published(name, 6379)
    }

    /// Starts `legation register CONTAINER 6379 redis-A` on the host, with the shortest lease there is.
    func register(_ container: String, _ more: [String] = [], socket: String? = nil) async throws -> ProcessUnderTest {
        try await legation(
            [
                "register", "--docker", "unix://\(socket ?? dockerSocket)", "--etcd", etcdURL, "--ttl", "5s", "--node",
                name,
            ]
                + [container, "6379", "redis-A"] + more)
    }

    /// Starts `legation proxy` for the service on a free port of the host's loopback.
    func proxy() async throws -> Proxy {
        let process = try await legation(["proxy", "--bind", "127.0.0.1", "--etcd", etcdURL, "redis-A:0"])
        return Proxy(process: process, endpoint: try await process.listeningEndpoint())
    }

    /// Which Redis answers at an address, by the id that it drew at its start.
    func runID(at endpoint: Endpoint) async throws -> String {
        try await RedisProcess.runID(at: endpoint, from: network)
    }

    /// The key of a container that `register` keeps here.
    func key(of container: String) -> String { "/services/redis-A/\(name):\(container):6379" }
}

extension Lab {
    /// Waits until a key says this address and state.
    func awaits(
        _ key: String, at endpoint: Endpoint, state: String = "up", within limit: Duration = .seconds(20)
    ) async throws {
        try await waitFor("\(key) at \(endpoint), \(state)", within: limit) {
            guard let found = try await self.key(key) else { return false }
            return found.endpoint == endpoint && found.state == state
        }
    }
}

extension EtcdKey {
    /// What the value says.
    var endpoint: Endpoint? {
        guard let host = (json["host"] as? String).flatMap({ IPAddress($0) }), let port = json["port"] as? Int else {
            return nil
        }
        return Endpoint(host, port: UInt16(clamping: port))
    }

    var state: String? { json["state"] as? String }
}
