// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `services --watch` and `nodes --watch`: what an operator leaves open in a window.
@Suite(.tags(.integration), .untilHung)
struct QueryWatchTests {
    /// A change is shown within a burst's 200 ms, and the time that etcd needs.
    private static let shown = Duration.milliseconds(500)

    private func newest(_ process: ProcessUnderTest) throws -> ServicesAnswer? {
        try process.lines(containing: #"{"prefix""#).last.map { try ServicesAnswer($0.text) }
    }

    @Test func showsEachChangeAsAnObjectALine() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let watch = try await stage.legation(
                ["services", "--watch", "--json", "--allow-target", "127.0.0.0/8"] + etcd.arguments)
            try await waitFor("the first answer") { try newest(watch) != nil }

            func eventuallyShows(_ what: String, _ body: (ServicesAnswer) -> Bool) async throws {
                try await eventually(what, within: Self.shown) { try newest(watch).map(body) ?? false }
            }
            let one = "/services/web/one"
            try await etcd.put(one, #"{"port":80,"host":"10.0.0.1"}"#)
            try await eventuallyShows("a put") { $0.instance(ofKey: one)?["verdict"] as? String == "used" }
            #expect(try await stage.runLegation(["drain", "web", "one", "--by", "alice"] + etcd.arguments).succeeded)
            try await eventuallyShows("a drain") { answer in
                let row = answer.instance(ofKey: one)
                let said = (row?["override"] as? [String: Any])?["by"] as? String
                return row?["verdict"] as? String == "not-used" && row?["reason"] as? String == "drained"
                    && said == "alice"
            }
            try await etcd.put("/services/web/bad", "{")
            try await eventuallyShows("a bad entry") { $0.reason(ofKey: "/services/web/bad") == "json" }
            try await etcd.delete(one)
            try await eventuallyShows("a delete") { $0.instance(ofKey: one) == nil }

            // etcd goes and comes back: what was known is said to be stale, and then all is followed again.
            let before = watch.lines(containing: #"{"prefix""#).count
            try await etcd.restart()
            try await etcd.put(one, #"{"port":81,"host":"10.0.0.1"}"#)
            try await waitFor("the change after the restart") {
                try newest(watch)?.instance(ofKey: one)?["address"] as? String == "10.0.0.1:81"
            }
            #expect(watch.lines(containing: #"{"prefix""#).count > before)
            try watch.signal(SIGINT)
            #expect(try await watch.end() == .code(0))
        }
    }

    @Test func drawsATerminalInPlace() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("web", Endpoint(.loopbackV4, port: 81), etcd: etcd)
            let legation = try LegationBinary.command(
                ["nodes", "--watch"] + etcd.arguments)
            let words = ([legation.executable] + legation.arguments).map { "'\($0)'" }.joined(separator: " ")
            let terminal = try await stage.start(
                Command("script", ["-qfec", "stty cols 40 rows 12; exec \(words)", "/dev/null"]))
            let line = try await terminal.firstLine(containing: "last change")
            #expect(line.text.contains("\u{1b}[H"))
            let row = try await terminal.firstLine(containing: "hostA").text
            #expect(row.prefix { $0 != "\u{1b}" }.count <= 40, "\(row)")
            // The time left on its lease moves on by itself, at least every 5 s.
            try await eventually("another frame", within: .seconds(5)) {
                terminal.lines(containing: "last change").count >= 2
            }
            let frames = terminal.lines.count
            try registrator.process.terminate()
            try await registrator.process.end()
            // A frame after it has its headings, and nobody below them. It is whole when the next has begun.
            try await waitFor("a frame without it") {
                let lines = terminal.lines.dropFirst(frames)
                guard let next = lines.lastIndex(where: { $0.text.contains("last change") }),
                    let heading = lines[..<next].lastIndex(where: { $0.text.contains("NODE") })
                else { return false }
                return !lines[heading..<next].contains { $0.text.contains("hostA") }
            }
        }
    }

    @Test func endsWithItsReader() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let legation = try LegationBinary.command(["services", "--watch"] + etcd.arguments)
            let words = ([legation.executable] + legation.arguments).map { "'\($0)'" }.joined(separator: " ")
            let pipe = try await stage.start(
                Command("bash", ["-c", "\(words) | head -n 1; echo status ${PIPESTATUS[0]}"]))
            try await pipe.firstLine(containing: "20")
            try await etcd.put("/services/web/one", #"{"port":80,"host":"10.0.0.1"}"#)
            #expect(try await pipe.firstLine(containing: "status").text == "status 0")
        }
    }

    @Test func looksThroughTheEyesOfALink() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            try await etcd.put("/services/web/a", #"{"port":80,"host":"10.0.0.1","tags":["blue"]}"#)
            try await etcd.put("/services/web/b", #"{"port":80,"host":"10.0.0.2","zone":"eu"}"#)
            try await etcd.put("/skydns/local/pg/x1", #"{"host":"10.0.0.3","port":5432,"ttl":60}"#)
            let answer = try await stage.services(
                etcd: etcd,
                [
                    "--select", "web=tag!=green", "--prefer", "web=zone=eu", "--format", "pg=skydns:/skydns/local/pg",
                ])
            #expect(answer.instance(ofKey: "/services/web/a")?["reason"] as? String == "spare")
            #expect(answer.instance(ofKey: "/services/web/b")?["verdict"] as? String == "used")
            #expect(answer.instance(ofKey: "/skydns/local/pg/x1")?["address"] as? String == "10.0.0.3:5432")
            let one = try await stage.services(
                etcd: etcd, ["pg", "--format", "pg=skydns:/skydns/local/pg", "--select", "tag=blue"])
            #expect(one.instance(ofKey: "/skydns/local/pg/x1")?["reason"] as? String == "not-selected")
            #expect(one.instance(ofKey: "/services/web/a") == nil)
        }
    }
}
