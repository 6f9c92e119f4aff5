// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// Unix sockets on either side, between a real Redis and its own client.
@Suite(.tags(.integration), .untilHung)
struct RelayUnixTests {
    @Test func carriesFromSocketToSocketForThoseWhoMayConnect() async throws {
        try await withStage { stage in
            let (door, target) = try (stage.directory() + "/door.sock", stage.directory() + "/redis.sock")
            let redis = try await stage.redis(socket: target)
            let arguments = ["forward", "--listen", "unix:\(door)", "--socket-mode", "0660", "unix:\(target)"]
            let forward = try await stage.legation(arguments)
            try await forward.firstLine(containing: "address=unix:\(door)")
            #expect(try await stage.runID(behind: door) == RedisProcess.runID(at: redis.endpoint))
            #expect(try FileManager.default.attributesOfItem(atPath: door)[.posixPermissions] as? Int == 0o660)

            // Who listens is not driven out; who has died is followed.
            let second = try await stage.runLegation(arguments)
            #expect(!second.succeeded && second.errors.contains("unix:\(door)"))
            #expect(try await stage.runID(behind: door) == RedisProcess.runID(at: redis.endpoint))
            try await forward.killAndWait()
            #expect(FileManager.default.fileExists(atPath: door))
            let successor = try await stage.legation(arguments)
            try await successor.firstLine(containing: "address=unix:\(door)")
            #expect(try await stage.runID(behind: door) == RedisProcess.runID(at: redis.endpoint))
        }
    }

    @Test func aServiceOfTheRegistryIsReachedBySocketAndPortAlike() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let redis = try await stage.redis()
            try await etcd.putInstance("/services/redis-A/one", redis.endpoint)
            let door = try stage.directory() + "/door.sock"
            let proxy = try await stage.legation([
                "proxy", "--etcd", etcd.url, "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8",
                "redis-A:unix:\(door)", "redis-A:0",
            ])
            try await proxy.firstLine(containing: "address=unix:\(door)")
            try await proxy.firstLine(containing: "address=127.0.0.1:")
            let expected = try await RedisProcess.runID(at: redis.endpoint)
            #expect(try await stage.runID(behind: door) == expected)
        }
    }

    @Test func anOwnSocketIsNoTarget() async throws {
        try await withStage { stage in
            let door = try stage.directory() + "/door.sock"
            let redis = try await stage.redis()
            let forward = try await stage.legation([
                "forward", "--listen", "unix:\(door)", "unix:\(door)", "\(redis.endpoint)",
            ])
            try await forward.firstLine(containing: "target is a listener of this process")
            try await forward.firstLine(containing: "address=unix:\(door)")
            #expect(try await stage.runID(behind: door) == RedisProcess.runID(at: redis.endpoint))
        }
    }
}

extension Stage {
    /// The id of the Redis that is reached through a socket, by Redis' own client.
    fileprivate func runID(behind path: String) async throws -> String? {
        let said = try await run(Command("redis-cli", ["-s", path, "INFO", "server"]))
        let line = said.output.split(whereSeparator: \.isNewline).first { $0.hasPrefix("run_id:") }
        return line.map { String($0.dropFirst("run_id:".count)) }
    }
}
