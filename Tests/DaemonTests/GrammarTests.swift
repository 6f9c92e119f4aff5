// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Logging
import Registry
import ServiceModel
import Testing

/// A command line with one mistake: what it is about, and what the message must name.
struct Mistake: Sendable, CustomTestStringConvertible {
    let command: CommandName
    var arguments: [String] = []
    var flags: [SettingName: [String]] = [:]
    var environment: [String: String] = [:]
    let key: String
    let value: String?

    var testDescription: String { "\(command.rawValue) \(key) \(value ?? "-")" }

    func error() -> UsageError? {
        let settings = SettingValues(flags: flags, environment: environment)
        do throws(UsageError) {
            switch command {
            case .register: _ = try RegisterConfiguration(arguments: arguments, settings: settings)
            case .forward: _ = try ForwardConfiguration(arguments: arguments, settings: settings)
            case .proxy: _ = try ProxyConfiguration(arguments: arguments, settings: settings)
            case .services, .nodes, .checkEtcd:
                _ = try QueryConfiguration(command, arguments: arguments, settings: settings)
            }
            return nil
        } catch {
            return error
        }
    }

    /// A flag of `command` with a bad value, once on the command line and once in the environment.
    static func flag(_ command: CommandName, _ name: SettingName, _ value: String) -> [Mistake] {
        var arguments: [String] = []
        var flags: [SettingName: [String]] = [:]
        switch command {
        case .register where name == .docker: arguments = ["redis", "6379", "redis-A"]
        case .register:
            arguments = ["redis"]
            flags[.address] = ["10.0.0.1:1"]
        case .forward: arguments = ["a:1"]
        case .proxy: arguments = ["a:1"]
        case .services, .nodes, .checkEtcd: break
        }
        let rest = flags.filter { $0.key != name }
        return [
            Mistake(
                command: command, arguments: arguments, flags: flags.merging([name: [value]]) { $1 },
                key: "--\(name.rawValue)", value: value),
            Mistake(
                command: command, arguments: arguments, flags: rest, environment: [Setting.named(name).variable: value],
                key: Setting.named(name).variable, value: value),
        ]
    }
}

@Suite struct MistakeTests {
    static let flags: [Mistake] = [
        Mistake.flag(.register, .address, "10.0.0.1"), Mistake.flag(.register, .address, "10.0.0.1:0"),
        Mistake.flag(.register, .address, "redis:6379"), Mistake.flag(.register, .ttl, "4s"),
        Mistake.flag(.register, .ttl, "3601s"), Mistake.flag(.register, .ttl, "ten"),
        Mistake.flag(.register, .drainTime, "-1s"), Mistake.flag(.register, .node, "a b"),
        Mistake.flag(.register, .zone, "a/b"), Mistake.flag(.register, .instance, "a/b"),
        Mistake.flag(.register, .advertise, "10.0.0.1:80"), Mistake.flag(.register, .advertise, "127.1"),
        Mistake.flag(.register, .docker, "ssh://engine"), Mistake.flag(.register, .docker, "/var/run/docker.sock"),
        Mistake.flag(.forward, .listen, "65536"), Mistake.flag(.forward, .listen, "localhost:1"),
        Mistake.flag(.forward, .workers, "0"), Mistake.flag(.forward, .workers, "257"),
        Mistake.flag(.forward, .workers, "+1"), Mistake.flag(.forward, .shutdownGrace, "2d"),
        Mistake.flag(.proxy, .bind, "10.0.0.1:1"), Mistake.flag(.proxy, .bind, "eth0"),
        Mistake.flag(.proxy, .balance, "random"), Mistake.flag(.proxy, .hold, "1d"),
        Mistake.flag(.proxy, .hold, "2h"), Mistake.flag(.proxy, .allowTarget, "10.0.0.0/33"),
        Mistake.flag(.proxy, .workers, "two"), Mistake.flag(.proxy, .etcd, "ftp://a"),
        Mistake.flag(.services, .etcd, "http://a:0"), Mistake.flag(.nodes, .prefix, "services"),
        Mistake.flag(.checkEtcd, .prefix, "/services/"), Mistake.flag(.checkEtcd, .etcdCA, "/nonexistent/ca.pem"),
        Mistake.flag(.nodes, .etcdCert, "/nonexistent"), Mistake.flag(.nodes, .etcdKey, "/nonexistent"),
        Mistake.flag(.services, .etcdPasswordFile, "/nonexistent"),
        Mistake.flag(.forward, .logLevel, "loud"),
    ].flatMap(\.self)

    static let arguments: [Mistake] = [
        Mistake(command: .register, arguments: [], key: "CONTAINER", value: nil),
        Mistake(command: .register, arguments: ["redis"], key: "PORT", value: nil),
        Mistake(command: .register, arguments: ["redis", "6379"], key: "SERVICE", value: nil),
        Mistake(command: .register, arguments: ["re dis", "6379", "a"], key: "CONTAINER", value: "re dis"),
        Mistake(command: .register, arguments: ["-redis", "6379", "a"], key: "CONTAINER", value: "-redis"),
        Mistake(command: .register, arguments: ["/", "6379", "a"], key: "CONTAINER", value: "/"),
        Mistake(command: .register, arguments: ["redis", "0", "a"], key: "PORT", value: "0"),
        Mistake(command: .register, arguments: ["redis", "65536", "a"], key: "PORT", value: "65536"),
        Mistake(command: .register, arguments: ["redis", "+1", "a"], key: "PORT", value: "+1"),
        Mistake(command: .register, arguments: ["redis", "1/", "a"], key: "PORT", value: "1/"),
        Mistake(command: .register, arguments: ["redis", "1/sctp", "a"], key: "PORT", value: "1/sctp"),
        Mistake(command: .register, arguments: ["redis", "1/tcp/udp", "a"], key: "PORT", value: "1/tcp/udp"),
        Mistake(command: .register, arguments: ["redis", "1", "a//b"], key: "SERVICE", value: "a//b"),
        Mistake(command: .register, arguments: ["redis", "1", "a", "b"], key: "KEY=VALUE", value: "b"),
        Mistake(command: .register, flags: [.address: ["10.0.0.1:1"]], key: "SERVICE", value: nil),
        Mistake(
            command: .register, arguments: ["a//b"], flags: [.address: ["10.0.0.1:1"]], key: "SERVICE", value: "a//b"),
        Mistake(
            command: .register, arguments: ["a", "b"], flags: [.address: ["10.0.0.1:1"]], key: "KEY=VALUE", value: "b"),
        Mistake(
            command: .register, arguments: ["a", "weight=x"], flags: [.address: ["10.0.0.1:1"]], key: "KEY=VALUE",
            value: "weight=x"),
        Mistake(command: .forward, key: "TARGET", value: nil),
        Mistake(command: .forward, arguments: ["a"], key: "TARGET", value: "a"),
        Mistake(command: .forward, arguments: ["a:0"], key: "TARGET", value: "a:0"),
        Mistake(command: .forward, arguments: ["a:1", "a:1"], key: "TARGET", value: "a:1"),
        Mistake(command: .proxy, key: "SERVICE PORT", value: nil),
        Mistake(command: .proxy, arguments: ["redis"], key: "SERVICE:PORT", value: "redis"),
        Mistake(command: .proxy, arguments: ["redis", "65536"], key: "SERVICE:PORT", value: "redis 65536"),
        Mistake(command: .proxy, arguments: ["redis:6379", "pg"], key: "SERVICE:PORT", value: "pg"),
        Mistake(command: .proxy, arguments: ["a:1", "b:1"], key: "SERVICE:PORT", value: "b:1"),
        Mistake(command: .proxy, arguments: ["a b:1"], key: "SERVICE:PORT", value: "a b:1"),
        Mistake(command: .services, arguments: ["a", "b"], key: "argument", value: "b"),
        Mistake(command: .services, arguments: ["a/"], key: "SERVICE", value: "a/"),
        Mistake(command: .nodes, arguments: ["a"], key: "argument", value: "a"),
        Mistake(command: .checkEtcd, arguments: ["a"], key: "argument", value: "a"),
    ]

    @Test(arguments: flags + arguments)
    func isToldByKeyValueAndAllowedForm(mistake: Mistake) throws {
        let error = try #require(mistake.error())
        #expect(error.key == mistake.key)
        #expect(error.value == mistake.value)
        #expect(!error.allowed.isEmpty)
        let message = "\(error)"
        #expect(message.contains(mistake.key))
        #expect(message.contains(mistake.value ?? "missing"))
        #expect(message.contains("allowed: \(error.allowed)"))
        #expect(!message.contains("\n"))
    }

    @Test func showsControlCharactersOfAValueEscaped() {
        #expect("\(UsageError("K", value: "a\n\u{1b}[2J", allowed: "x"))".contains("'a\\n\\u{1b}[2J'"))
    }
}

@Suite struct GrammarTests {
    private func proxy(
        _ arguments: [String], _ flags: [SettingName: [String]] = [:]
    ) throws -> ProxyConfiguration {
        try ProxyConfiguration(arguments: arguments, settings: SettingValues(flags: flags, environment: [:]))
    }

    @Test func readsTwoArgumentsWithDigitsAsServiceAndPort() throws {
        let links = try proxy(["redis-A", "6379"]).links
        #expect(links.map(\.service.description) == ["redis-A"])
        #expect(links.map(\.listen) == [.anywhere(port: 6379)])
    }

    @Test func readsEveryOtherArgumentAsALinkOfItsOwn() throws {
        let configuration = try proxy(["redis-A:6379", "shop/pg:0", "redis-A:0"], [.bind: ["::1"]])
        #expect(configuration.links.map(\.service.description) == ["redis-A", "shop/pg", "redis-A"])
        #expect(configuration.links.map(\.listen.description) == ["[::1]:6379", "[::1]:0", "[::1]:0"])
        #expect(configuration.services.map(\.description) == ["redis-A", "shop/pg"])
    }

    @Test func hasTheDefaultsOfACarefulOperator() throws {
        let proxy = try proxy(["a:1"])
        #expect(proxy.hold == .seconds(60))
        #expect(proxy.relay.shutdownGrace == .seconds(30))
        #expect(proxy.relay.workers >= 1)
        #expect(proxy.logLevel == .info)
        #expect(!proxy.startsEmpty)
        #expect(proxy.etcd.layout.prefix == "/services")
        let settings = SettingValues(flags: [.address: ["[fd00::1]:1"]], environment: [:])
        let register = try RegisterConfiguration(arguments: ["a", "b=c"], settings: settings)
        #expect(register.timeToLive == .seconds(10))
        #expect(register.drainTime == .seconds(1))
        #expect(register.subject == Endpoint("[fd00::1]:1").map { .address($0) })
        let none = SettingValues(flags: [:], environment: [:])
        #expect(try ForwardConfiguration(arguments: ["a:1"], settings: none).listen == .anywhere(port: 10000))
        #expect(try QueryConfiguration(.services, arguments: [], settings: none).logLevel == .error)
    }

    @Test(arguments: [
        ("redis-demo.service", "6379", "redis-demo.service 6379/tcp"), ("/redis", "53/udp", "redis 53/udp"),
        ("0123456789ab", "1/tcp", "0123456789ab 1/tcp"),
    ])
    func readsAContainerAndItsPort(container: String, port: String, shown: String) throws {
        let settings = SettingValues(flags: [.docker: ["tcp://engine"]], environment: [:])
        let register = try RegisterConfiguration(arguments: [container, port, "redis-A", "b=c"], settings: settings)
        guard case .container(let selector, let engine) = register.subject else {
            Issue.record("\(register.subject)")
            return
        }
        #expect("\(selector)" == shown && "\(engine)" == "tcp://engine:2375")
        #expect(register.service.description == "redis-A")
    }

    @Test func readsForwardTargetsInOrder() throws {
        let settings = SettingValues(flags: [.listen: ["[::1]:0"]], environment: [:])
        let forward = try ForwardConfiguration(arguments: ["db.lan:5432", "[fd00::2]:5432"], settings: settings)
        #expect(forward.targets.map(\.description) == ["db.lan:5432", "[fd00::2]:5432"])
        #expect(forward.linkName == "db.lan:5432,[fd00::2]:5432")
        #expect(forward.listen.description == "[::1]:0")
    }
}
