// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Real Redis servers, each kept in etcd by a real `register`, behind a real `proxy`: the product as it is used.
@Suite(.tags(.integration), .untilHung)
struct RedisTests {
    @Test func aServerThatDiesCostsNoNewConnectionAndServesAgainWhenItIsBack() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let first = try await stage.redis()
            let second = try await stage.redis()
            _ = try await stage.register("redis-A", first.endpoint, etcd: etcd, node: "hostA")
            _ = try await stage.register("redis-A", second.endpoint, etcd: etcd, node: "hostB")
            let proxy = try await stage.proxy("redis-A", etcd: etcd, ["--workers", "1"])
            let firstID = try await RedisProcess.runID(at: first.endpoint)
            let secondID = try await RedisProcess.runID(at: second.endpoint)
            try await waitFor("both serve") {
                try await [
                    RedisProcess.runID(at: proxy.endpoint), RedisProcess.runID(at: proxy.endpoint),
                ].sorted() == [firstID, secondID].sorted()
            }

            // Its key still stands, for its registrator lives: only the retry of connects can help.
            try await first.process.killAndWait()
            for _ in 0..<50 { #expect(try await RedisProcess.runID(at: proxy.endpoint) == secondID) }

            let again = try await stage.redis(port: first.endpoint.port)
            let againID = try await RedisProcess.runID(at: again.endpoint)
            // Out of use for 5 s since its third refusal; then it gets a tenth of its share at first.
            try await eventually("restarted Redis used", within: .seconds(6)) {
                try await RedisProcess.runID(at: proxy.endpoint) == againID
            }
        }
    }

    @Test func aRedisThatRestartsWithinTheRetryTimeCostsNoError() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            var redis = try await stage.redis()
            _ = try await stage.register("redis-A", redis.endpoint, etcd: etcd)
            let proxy = try await stage.proxy("redis-A", etcd: etcd)
            for attempt in 1...3 {
                #expect(try await RedisProcess.ask("PING", at: proxy.endpoint) == "PONG")
                try await redis.process.killAndWait()
                let down = ContinuousClock.now
                // Asked while nobody is there; answered by the one that comes.
                async let asked = Self.answer(at: proxy.endpoint)
                redis = try await stage.redis(port: redis.endpoint.port)
                let took = ContinuousClock.now - down
                let answer = await asked
                // A client is kept for 5 s: where Redis takes so long to start, it shows nothing.
                if took > .seconds(4) && attempt < 3 { continue }
                #expect(try answer.get() == "PONG", "down for \(took.milliseconds) ms")
                break
            }
        }
    }

    private static func answer(at endpoint: Endpoint) async -> Result<String?, any Error> {
        do { return .success(try await RedisProcess.ask("PING", at: endpoint)) } catch { return .failure(error) }
    }

    @Test func aPipelineComesBackWholeAndInOrder() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let redis = try await stage.redis()
            try await etcd.putInstance("/services/redis-A/one", redis.endpoint)
            let proxy = try await stage.proxy("redis-A", etcd: etcd)
            let count = 50_000
            let connection = try await blocking { try TCPConnection.connect(to: proxy.endpoint) }
            // Sent while answers come: neither side's buffers hold all of it.
            async let sent: Void = blocking {
                try connection.send(String(repeating: "INCR counter\r\n", count: count) + "QUIT\r\n")
            }
            let answers = try await blocking { try connection.receiveToEnd() }
            try await sent
            let expected = (1...count).map { ":\($0)\r\n" }.joined() + "+OK\r\n"
            #expect(answers == Array(expected.utf8))
        }
    }
}
