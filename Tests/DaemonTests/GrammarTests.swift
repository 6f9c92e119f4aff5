// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Docker
import Logging
import Registration
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
            case .drain, .weight, .undo:
                _ = try OverrideConfiguration(command, arguments: arguments, settings: settings)
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
        case .register where [.docker, .network].contains(name): arguments = ["redis", "6379", "redis-A"]
        case .register where [.compat, .allowService].contains(name): flags[.labels] = ["true"]
        case .register:
            arguments = ["redis"]
            flags[.address] = ["10.0.0.1:1"]
        case .forward: arguments = ["a:1"]
        case .proxy: arguments = ["a:1"]
        case .drain, .undo: arguments = ["a", "b"]
        case .weight: arguments = ["a", "b", "1"]
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
    /// With the slash in front one byte more than unix(7) has room for.
    private static let longPath = String(repeating: "p", count: 107)

    static let flags: [Mistake] = [
        Mistake.flag(.register, .address, "10.0.0.1"), Mistake.flag(.register, .address, "10.0.0.1:0"),
        Mistake.flag(.register, .address, "redis:6379"), Mistake.flag(.register, .ttl, "4s"),
        Mistake.flag(.register, .ttl, "3601s"), Mistake.flag(.register, .ttl, "ten"),
        Mistake.flag(.register, .drainTime, "-1s"), Mistake.flag(.register, .onExit, "leave"),
        Mistake.flag(.register, .node, "a b"),
        Mistake.flag(.register, .zone, "a/b"), Mistake.flag(.register, .instance, "a/b"),
        Mistake.flag(.register, .advertise, "10.0.0.1:80"), Mistake.flag(.register, .advertise, "127.1"),
        Mistake.flag(.register, .docker, "ssh://engine"), Mistake.flag(.register, .docker, "/var/run/docker.sock"),
        Mistake.flag(.register, .also, "consul"), Mistake.flag(.register, .also, "naming:a//b"),
        Mistake.flag(.register, .also, "skydns:a..b"), Mistake.flag(.register, .also, "registrator:/services"),
        Mistake.flag(.register, .also, "naming:/services-nodes/x"),
        Mistake.flag(.register, .labels, "maybe"), Mistake.flag(.register, .compat, "consul"),
        Mistake.flag(.register, .allowService, "a*b"), Mistake.flag(.register, .allowService, "a b"),
        Mistake.flag(.register, .network, "a b"), Mistake.flag(.register, .network, "/back"),
        Mistake.flag(.register, .network, "-back"),
        Mistake.flag(.forward, .listen, "65536"), Mistake.flag(.forward, .listen, "localhost:1"),
        Mistake.flag(.forward, .listen, "unix:relative"), Mistake.flag(.forward, .listen, "unix:/" + longPath),
        Mistake.flag(.forward, .socketMode, "68"), Mistake.flag(.proxy, .socketMode, "0x1"),
        Mistake.flag(.proxy, .socketMode, "1660"), Mistake.flag(.proxy, .socketMode, "668"),
        Mistake.flag(.forward, .workers, "0"), Mistake.flag(.forward, .workers, "257"),
        Mistake.flag(.forward, .workers, "+1"), Mistake.flag(.forward, .shutdownGrace, "2d"),
        Mistake.flag(.proxy, .bind, "10.0.0.1:1"), Mistake.flag(.proxy, .bind, "eth0"),
        Mistake.flag(.proxy, .balance, "random"), Mistake.flag(.proxy, .hold, "1d"),
        Mistake.flag(.proxy, .hold, "2h"), Mistake.flag(.proxy, .allowTarget, "10.0.0.0/33"),
        Mistake.flag(.drain, .lasts, "0s"), Mistake.flag(.weight, .by, String(repeating: "x", count: 101)),
        Mistake.flag(.proxy, .format, "json"), Mistake.flag(.proxy, .format, "naming:/x"),
        Mistake.flag(.proxy, .format, "a=naming:/x/"), Mistake.flag(.proxy, .onLoss, "drop"),
        Mistake.flag(.proxy, .onLoss, "drop-after:0s"), Mistake.flag(.proxy, .drainTimeout, "25h"),
        Mistake.flag(.proxy, .onLoss, "b=keep"), Mistake.flag(.proxy, .onEmpty, "fallback:10.0.0.1"),
        Mistake.flag(.proxy, .onEmpty, "fallback:0.0.0.0:1"), Mistake.flag(.proxy, .onEmpty, "a b=keep"),
        Mistake.flag(.proxy, .workers, "two"), Mistake.flag(.proxy, .etcd, "ftp://a"),
        Mistake.flag(.services, .etcd, "http://a:0"), Mistake.flag(.nodes, .prefix, "services"),
        Mistake.flag(.checkEtcd, .prefix, "/services/"), Mistake.flag(.proxy, .layout, "by-node"),
        Mistake.flag(.checkEtcd, .etcdCA, "/nonexistent/ca.pem"),
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
        Mistake(command: .forward, arguments: ["unix:a"], key: "TARGET", value: "unix:a"),
        Mistake(command: .forward, arguments: ["unix:/a", "unix:/a"], key: "TARGET", value: "unix:/a"),
        Mistake(command: .proxy, key: "SERVICE PORT", value: nil),
        Mistake(command: .proxy, arguments: ["a:unix:b"], key: "SERVICE:PORT", value: "a:unix:b"),
        Mistake(command: .proxy, arguments: ["a:1:2"], key: "SERVICE:PORT", value: "a:1:2"),
        Mistake(command: .proxy, arguments: ["a:unix:/x", "b:unix:/x"], key: "SERVICE:PORT", value: "b:unix:/x"),
        Mistake(command: .proxy, arguments: ["redis"], key: "SERVICE:PORT", value: "redis"),
        Mistake(command: .proxy, arguments: ["redis", "65536"], key: "SERVICE:PORT", value: "redis 65536"),
        Mistake(command: .proxy, arguments: ["redis:6379", "pg"], key: "SERVICE:PORT", value: "pg"),
        Mistake(command: .proxy, arguments: ["a:1", "b:1"], key: "SERVICE:PORT", value: "b:1"),
        Mistake(command: .proxy, arguments: ["a b:1"], key: "SERVICE:PORT", value: "a b:1"),
        Mistake(command: .services, arguments: ["a", "b"], key: "argument", value: "b"),
        Mistake(command: .services, arguments: ["a/"], key: "SERVICE", value: "a/"),
        Mistake(command: .nodes, arguments: ["a"], key: "argument", value: "a"),
        Mistake(command: .checkEtcd, arguments: ["a"], key: "argument", value: "a"),
        Mistake(command: .drain, key: "SERVICE", value: nil),
        Mistake(command: .drain, arguments: ["a b", "c"], key: "SERVICE", value: "a b"),
        Mistake(command: .undo, arguments: ["a", "b/c"], key: "INSTANCE", value: "b/c"),
        Mistake(command: .weight, arguments: ["a", "b", "1001"], key: "WEIGHT", value: "1001"),
        Mistake(command: .weight, arguments: ["a"], key: "WEIGHT", value: nil),
        Mistake(command: .weight, arguments: ["a", "b"], key: "WEIGHT", value: "b"),
        Mistake(command: .weight, arguments: ["a", "b", "c", "1"], key: "argument", value: "c"),
        Mistake(command: .undo, arguments: ["a", "b", "c"], key: "argument", value: "c"),
    ]

    /// What cannot be said together.
    static let combinations: [Mistake] = [
        Mistake(
            command: .register, arguments: ["redis"], flags: [.labels: ["true"]], key: "argument", value: "redis"),
        Mistake(
            command: .register, arguments: ["a=b"], environment: ["LEGATION_LABELS": "1"], key: "argument",
            value: "a=b"),
        Mistake(
            command: .register, flags: [.labels: ["true"], .address: ["10.0.0.1:1"]], key: "--address",
            value: "10.0.0.1:1"),
        Mistake(command: .register, flags: [.labels: ["true"], .instance: ["i"]], key: "--instance", value: "i"),
        Mistake(
            command: .register, flags: [.labels: ["true"], .advertise: ["10.0.0.1", "fd00::1", "10.0.0.2"]],
            key: "--advertise", value: "10.0.0.2"),
        Mistake(
            command: .register, flags: [.labels: ["true"]], environment: ["LEGATION_ADVERTISE": "fd00::1,fd00::2"],
            key: "LEGATION_ADVERTISE", value: "fd00::2"),
        Mistake(
            command: .register, arguments: ["redis", "6379", "a"], flags: [.compat: ["registrator"]], key: "--compat",
            value: "registrator"),
        Mistake(
            command: .register, arguments: ["redis", "6379", "a"], environment: ["LEGATION_ALLOW_SERVICE": "a,b"],
            key: "LEGATION_ALLOW_SERVICE", value: "a"),
        Mistake(
            command: .register, arguments: ["a"], flags: [.address: ["10.0.0.1:1"], .network: ["back"]],
            key: "--network", value: "back"),
    ]

    @Test(arguments: flags + arguments + combinations)
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

    @Test func readsTheSocketThatAServiceIsToHave() throws {
        let one = try proxy(["redis-A", "unix:/run/redis.sock"], [.bind: ["::1"]]).links
        #expect(one.map(\.service.description) == ["redis-A"])
        #expect(one.map(\.listen.description) == ["unix:/run/redis.sock"])
        let two = try proxy(["redis-A:unix:/run/a:b.sock", "unix:6379"]).links
        #expect(two.map(\.service.description) == ["redis-A", "unix"])
        #expect(two.map(\.listen.description) == ["unix:/run/a:b.sock", "*:6379"])
    }

    @Test(arguments: [("660", UInt32(0o660)), ("0606", 0o606), (nil, 0o600)])
    func readsWhoMayConnectToASocket(text: String?, mode: UInt32) throws {
        let flags = text.map { [SettingName.socketMode: [$0]] } ?? [:]
        #expect(try proxy(["a:1"], flags).relay.socketMode == mode)
    }

    @Test(arguments: [["10.0.0.1", "fd00::1"], ["10.0.0.1,fd00::1"], ["fd00::1"], []])
    func advertisesAnAddressOfEachFamily(_ given: [String]) throws {
        let settings = SettingValues(flags: [.labels: ["true"], .advertise: given], environment: [:])
        let advertised = try RegisterConfiguration(arguments: [], settings: settings).advertise
        #expect(advertised.map(\.description).joined(separator: ",") == given.joined(separator: ","))
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
        guard case .address(let endpoint, let service) = register.subject else {
            Issue.record("\(register.subject)")
            return
        }
        #expect("\(endpoint)" == "[fd00::1]:1" && service.description == "a" && register.fields != .none)
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
        guard case .containers(.one(let selector, let claim), let engine) = register.subject else {
            Issue.record("\(register.subject)")
            return
        }
        #expect("\(selector)" == shown && "\(engine)" == "tcp://engine:2375")
        #expect(claim.service.description == "redis-A" && claim.portText == shown.split(separator: " ").last ?? "")
        #expect(claim.fields != .none && claim.network == nil && claim.instance == nil)
    }

    @Test func readsWhatLabelsMayDo() throws {
        func rules(_ flags: [SettingName: [String]], _ environment: [String: String] = [:]) throws -> LabelRules {
            let settings = SettingValues(flags: flags, environment: environment)
            let register = try RegisterConfiguration(arguments: [], settings: settings)
            guard case .containers(.labelled(let rules), _) = register.subject else {
                Issue.record("\(register.subject)")
                return LabelRules()
            }
            return rules
        }
        #expect(try rules([.labels: ["true"]]) == LabelRules())
        let more = try rules(
            [
                .labels: ["true"], .compat: ["registrator"], .allowService: ["redis-A,shop/*", "*"],
                .network: ["back_1"],
            ])
        #expect(more.allowed.map(\.description) == ["redis-A", "shop/*", "*"])
        #expect(more.compatibility == .registrator && more.network == "back_1")
        let environment = ["LEGATION_LABELS": "true", "LEGATION_NETWORK": "n", "LEGATION_ALLOW_SERVICE": "a,b"]
        #expect(try rules([:], environment).allowed.map(\.description) == ["a", "b"])
        #expect(try rules([:], environment).network == "n")
    }

    @Test func oneContainersOwnAddressMayBePublished() throws {
        let settings = SettingValues(flags: [.network: ["back"], .instance: ["i"]], environment: [:])
        let register = try RegisterConfiguration(arguments: ["redis", "6379", "a"], settings: settings)
        guard case .containers(.one(_, let claim), _) = register.subject else {
            Issue.record("\(register.subject)")
            return
        }
        #expect(claim.network == "back" && claim.instance == "i")
    }

    @Test func readsForwardTargetsInOrder() throws {
        let settings = SettingValues(flags: [.listen: ["[::1]:0"]], environment: [:])
        let forward = try ForwardConfiguration(
            arguments: ["db.lan:5432", "[fd00::2]:5432", "unix:/run/db.sock"], settings: settings)
        #expect(forward.targets.map(\.description) == ["db.lan:5432", "[fd00::2]:5432", "unix:/run/db.sock"])
        #expect(forward.linkName == "db.lan:5432,[fd00::2]:5432,unix:/run/db.sock")
        #expect(forward.listen.description == "[::1]:0")
    }
}
