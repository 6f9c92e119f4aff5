// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

@testable import Docker
import FoundationEssentials
import ServiceModel
import TestSupport
import Testing

/// What a real engine said (Scripts/record-docker), and shapes after the API's published description, which are marked.
@Suite struct EngineJSONTests {
    private static func recording(_ name: String) throws -> [UInt8] {
        let path = "\(PackageRoot.path)/Tests/DockerTests/Fixtures/engine-20.10.24-\(name).json"
        return Array(try Data(contentsOf: URL(filePath: path)))
    }

    private static func containers() throws -> [String: Container] {
        let list = try EngineJSON.containers(try recording("containers"))
        return Dictionary(uniqueKeysWithValues: list.map { ($0.names.first ?? $0.id, $0) })
    }

    @Test func readsTheListOfARealEngine() throws {
        let found = try Self.containers()
        #expect(Set(found.keys) == ["everywhere", "one-address", "inner", "paused", "ended", "created"])
        let states = found.mapValues(\.state)
        #expect(states["everywhere"] == .running && states["paused"] == .paused && states["ended"] == .exited)
        #expect(states["created"] == .created)
        #expect(found.values.allSatisfy { $0.id.count == 64 })
    }

    @Test func readsWhereAPortIsPublished() throws {
        let found = try Self.containers()
        let everywhere = try #require(found["everywhere"]).ports
        let tcp = everywhere.filter { $0.number == 6379 && $0.transport == .tcp }.compactMap(\.binding)
        #expect(Set(tcp.map(\.address)) == [.unspecifiedV4, .unspecifiedV6])
        #expect(Set(tcp.map(\.port)).count == 1 && tcp[0].port >= 32768)
        let udp = everywhere.filter { $0.transport == .udp }
        #expect(udp.allSatisfy { $0.number == 53 && $0.binding?.port == 5300 } && !udp.isEmpty)
        let one = try #require(found["one-address"]).ports
        #expect(one.count == 1 && one[0].binding?.address == IPAddress("10.77.0.1"))
        #expect(try #require(found["inner"]).ports == [ContainerPort(6379)], "exposed only")
        #expect(try #require(found["ended"]).ports.allSatisfy { $0.binding == nil })
    }

    @Test func readsNamesLabelsAndOwnAddresses() throws {
        let found = try Self.containers()
        let everywhere = try #require(found["everywhere"])
        #expect(everywhere.names == ["everywhere"], "a link's name for it is not its own")
        #expect(everywhere.labels["legation.address"] == "10.77.0.1")
        let own = try #require(everywhere.networks["bridge"]?.first)
        #expect("\(own)".hasPrefix("172."))
        #expect(try #require(found["inner"]).networks["inner"]?.map(\.description) == ["172.30.0.2"])
        #expect(try #require(found["created"]).networks["bridge"]?.isEmpty == true)
    }

    @Test func readsTheEventsOfARealEngine() throws {
        var splitter = LineSplitter()
        let events = try splitter.lines(in: try Self.recording("events")).compactMap { try EngineJSON.event($0) }
        let told = events.compactMap { event -> ContainerEvent? in
            guard case .container(let one) = event else { return nil }
            return one
        }
        #expect(events.contains(.other), "networks")
        #expect(Set(told.map(\.container)).count == 1)
        let life = told.map { $0.action + ($0.signal.map { " \($0)" } ?? "") }
        #expect(
            life == [
                "create", "start", "kill 10", "pause", "unpause", "rename", "exec_create", "exec_start", "exec_die",
                "kill 15", "die", "stop", "start", "restart", "kill 9", "die", "destroy",
            ])
        #expect(told.first?.name == "life" && told.last?.name == "afterlife")
    }

    /// After the published description of API 1.52, which drops `status`, `id` and `from`; not run.
    @Test func readsAnEventOfANewerEngine() throws {
        let text =
            #"{"Type":"container","Action":"kill","Actor":{"ID":"abc","Attributes":{"name":"redis","signal":"15"}}}"#
        let event = ContainerEvent(action: "kill", container: "abc", name: "redis", signal: 15)
        #expect(try EngineJSON.event(Array(text.utf8)) == .container(event))
    }

    /// After Podman's documentation; not run.
    @Test func readsAPortWithoutAddressAsPublishedEverywhere() throws {
        let text =
            #"[{"Id":"a","Names":["/r"],"State":"running","Ports":[{"PrivatePort":6379,"PublicPort":8000,"Type":"tcp"}]}]"#
        let container = try #require(try EngineJSON.containers(Array(text.utf8)).first)
        #expect(container.ports.first?.binding?.address == .unspecifiedV4)
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
    func leavesOutEventsThatSayNothing(text: String) throws {
        #expect(try EngineJSON.event(Array(text.utf8)) == nil)
    }
}

@Suite struct LineSplitterTests {
    private static let stream = Array("{\"a\":1}\n\n{\"b\":2}\r\n{}\n".utf8)

    @Test(arguments: 0...stream.count)
    func cutsLinesWhereverTheStreamIsSplit(position: Int) throws {
        var splitter = LineSplitter()
        let lines = try splitter.lines(in: Self.stream[..<position]) + splitter.lines(in: Self.stream[position...])
        #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["{\"a\":1}", "{\"b\":2}", "{}"])
    }

    @Test func givesUpOnALineWithoutEnd() throws {
        var splitter = LineSplitter()
        let half = [UInt8](repeating: 0x61, count: LineSplitter.longest)
        let none = try splitter.lines(in: half)
        #expect(none.isEmpty)
        let error = #expect(throws: DockerError.self) {
            var splitter = splitter
            return try splitter.lines(in: [0x61])
        }
        #expect(error?.code == .malformed)
    }
}
