// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

@testable import Docker
import FoundationEssentials
import ServiceModel
import TestSupport
import Testing

/// Shapes that an engine may have, by the API's published description; what real ones said is in `RecordedEngineTests`.
@Suite struct EngineJSONTests {
    @Test func readsWhoseNetworkItIs() throws {
        let text =
            #"[{"Id":"a","HostConfig":{"NetworkMode":"host"}},{"Id":"b","HostConfig":{"NetworkMode":"default"}}]"#
        #expect(try EngineJSON.containers(Array(text.utf8)).map(\.usesHostNetwork) == [true, false])
    }

    /// The words of moby's container/state.go; `Health` after the published description of API 1.52, not run.
    @Test(arguments: [
        (#""Status":"Up 3 seconds (healthy)""#, ContainerHealth.healthy),
        (#""Status":"Up 2 minutes (unhealthy)""#, .unhealthy),
        (#""Status":"Up 1 second (health: starting)""#, .starting), (#""Status":"Up 5 minutes (Paused)""#, .none),
        (#""Status":"Up 5 minutes""#, .none), (#""Status":"Exited (0) 2 days ago""#, .none),
        (#""Status":"Up 1 second","Health":{"Status":"unhealthy","FailingStreak":3}"#, .unhealthy),
        (#""Status":"Up 3 seconds (healthy)","Health":{"Status":"none"}"#, .none),
        (#""Status":"Up 3 seconds (healthy)","Health":{"Status":""}"#, .healthy),
    ])
    func readsHealth(_ fields: String, _ health: ContainerHealth) throws {
        let text = #"[{"Id":"a","State":"running",\#(fields)}]"#
        #expect(try EngineJSON.containers(Array(text.utf8)).map(\.health) == [health])
    }

    @Test(arguments: [
        ("health_status: healthy", ContainerHealth.healthy), ("health_status: unhealthy", .unhealthy),
        ("health_status: starting", .starting), ("health_status", nil), ("health_status: dreaming", nil),
        ("exec_start: healthy", nil),
    ])
    func readsWhatAHealthCheckHasComeTo(_ action: String, _ health: ContainerHealth?) throws {
        let text = #"{"Type":"container","Action":"\#(action)","Actor":{"ID":"a"}}"#
        guard case .container(let event)? = EngineJSON.event(Array(text.utf8)) else {
            Issue.record("no event of a container")
            return
        }
        #expect(event.health == health && !event.action.contains(":"))
    }

    @Test(arguments: [
        #"[{"Id":"a"}]"#,
        #"[{"Id":"a","Names":null,"State":null,"Labels":null,"Ports":null,"NetworkSettings":null,"New":{"x":[1]}}]"#,
        #"[{"Id":"a","NetworkSettings":{"Networks":{"n":null}},"Ports":[{"PrivatePort":0},{"PrivatePort":70000}]}]"#,
        #"[{"Id":"a","Ports":[{"PrivatePort":1,"Type":"quic"},{"IP":"nonsense","PrivatePort":1,"PublicPort":2}]}]"#,
    ])
    func doesWithoutWhatIsMissingOrStrange(text: String) throws {
        let container = try #require(try EngineJSON.containers(Array(text.utf8)).first)
        #expect(container.id == "a" && container.ports.isEmpty && container.names.isEmpty)
    }

    @Test(arguments: ["", "{}", "[1]", "[{}]", "null", "<html>", #"[{"Id":"a""#])
    func refusesWhatIsNoList(text: String) throws {
        let error = try #require(throws: DockerError.self) { try EngineJSON.containers(Array(text.utf8)) }
        #expect(error.code == .malformed)
    }

    @Test(arguments: [#"{"Type":"container"}"#, #"{"Type":"container","Action":"die","Actor":{}}"#])
    func leavesOutEventsThatSayNothing(text: String) {
        #expect(EngineJSON.event(Array(text.utf8)) == nil)
    }

    /// Something has happened, whatever it was.
    @Test(arguments: ["nonsense", "[]", "{", #"{"Type":"container","Actor":{"Attributes":{"a":1}}}"#])
    func anEventThatCannotBeReadHastensAList(text: String) {
        #expect(EngineJSON.event(Array(text.utf8)) == .other)
    }
}

@Suite struct LineSplitterTests {
    private static let stream = Array("{\"a\":1}\n\n{\"b\":2}\r\n{}\n".utf8)

    @Test(arguments: 0...stream.count)
    func cutsLinesWhereverTheStreamIsSplit(position: Int) {
        var splitter = LineSplitter()
        let lines = splitter.lines(in: Self.stream[..<position]) + splitter.lines(in: Self.stream[position...])
        #expect(lines.map { $0.map { String(decoding: $0, as: UTF8.self) } } == ["{\"a\":1}", "{\"b\":2}", "{}"])
    }

    @Test func aLineThatIsTooLongIsToldOnceAndSkipped() {
        var splitter = LineSplitter()
        let longest = [UInt8](repeating: 0x61, count: LineSplitter.longest)
        let none = splitter.lines(in: longest)
        #expect(none.isEmpty)
        let tooLong = splitter.lines(in: [0x61])
        #expect(tooLong == [nil], "before its end")
        let more = splitter.lines(in: longest + longest)
        #expect(more.isEmpty)
        let next = splitter.lines(in: Array("a\n\n{}\n".utf8))
        #expect(next == [Array("{}".utf8)])
        let whole = splitter.lines(in: longest + [0x0a])
        #expect(whole == [longest])
    }
}
