// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Daemon

/// Some flags of a command, under the names that they have in the table of settings.
///
/// Every flag is declared as text that may stand any number of times: what is allowed is checked in one place for the
/// command line and the environment alike (`SettingValues`).
protocol FlagGroup: ParsableArguments {
    var given: [SettingName: [String]] { get }
}

extension ArgumentHelp {
    /// The help of a flag, from its row in the table.
    init(_ name: SettingName) {
        let setting = Setting.named(name)
        let placeholder: String? =
            switch setting.kind {
            case .value(let text), .list(let text): text
            case .toggle: nil
            }
        self.init("\(setting.help)", valueName: placeholder)
    }
}

extension NameSpecification {
    init(_ name: SettingName) { self = .customLong(name.rawValue) }
}

struct RegisterFlags: FlagGroup {
    @Option(name: .init(.address), help: .init(.address)) var address: [String] = []
    @Option(name: .init(.docker), help: .init(.docker)) var docker: [String] = []
    @Option(name: .init(.ttl), help: .init(.ttl)) var ttl: [String] = []
    @Option(name: .init(.drainTime), help: .init(.drainTime)) var drainTime: [String] = []
    @Option(name: .init(.onExit), help: .init(.onExit)) var onExit: [String] = []
    @Option(name: .init(.instance), help: .init(.instance)) var instance: [String] = []
    @Option(name: .init(.advertise), help: .init(.advertise)) var advertise: [String] = []
    @Option(name: .init(.advertiseInterface), help: .init(.advertiseInterface)) var interface: [String] = []
    @Flag(name: .init(.allowLoopback), help: .init(.allowLoopback)) var allowLoopback = false
    @Option(name: .init(.also), help: .init(.also)) var also: [String] = []
    @Flag(name: .init(.labels), help: .init(.labels)) var labels = false
    @Option(name: .init(.compat), help: .init(.compat)) var compat: [String] = []
    @Option(name: .init(.allowService), help: .init(.allowService)) var allowService: [String] = []
    @Option(name: .init(.network), help: .init(.network)) var network: [String] = []

    var given: [SettingName: [String]] {
        [
            .address: address, .docker: docker, .ttl: ttl, .drainTime: drainTime, .onExit: onExit, .instance: instance,
            .advertise: advertise, .advertiseInterface: interface,
            .allowLoopback: allowLoopback.given, .also: also, .labels: labels.given, .compat: compat,
            .allowService: allowService, .network: network,
        ]
    }
}

struct PlaceFlags: FlagGroup {
    @Option(name: .init(.node), help: .init(.node)) var node: [String] = []
    @Option(name: .init(.zone), help: .init(.zone)) var zone: [String] = []

    var given: [SettingName: [String]] { [.node: node, .zone: zone] }
}

struct ProxyFlags: FlagGroup {
    @Option(name: .init(.bind), help: .init(.bind)) var bind: [String] = []
    @Option(name: .init(.balance), help: .init(.balance)) var balance: [String] = []
    @Option(name: .init(.hold), help: .init(.hold)) var hold: [String] = []
    @Flag(name: .init(.startEmpty), help: .init(.startEmpty)) var startEmpty = false
    @Option(name: .init(.onLoss), help: .init(.onLoss)) var onLoss: [String] = []
    @Option(name: .init(.onEmpty), help: .init(.onEmpty)) var onEmpty: [String] = []
    @Option(name: .init(.instanceConnections), help: .init(.instanceConnections)) var connections: [String] = []
    @Option(name: .init(.drainTimeout), help: .init(.drainTimeout)) var drainTimeout: [String] = []

    var given: [SettingName: [String]] {
        [
            .bind: bind, .balance: balance, .hold: hold, .startEmpty: startEmpty.given, .onLoss: onLoss,
            .onEmpty: onEmpty, .instanceConnections: connections, .drainTimeout: drainTimeout,
        ]
    }
}

/// What decides which entries a link uses.
struct SelectionFlags: FlagGroup {
    @Option(name: .init(.format), help: .init(.format)) var format: [String] = []
    @Option(name: .init(.resolveNames), help: .init(.resolveNames)) var resolveNames: [String] = []
    @Option(name: .init(.select), help: .init(.select)) var select: [String] = []
    @Option(name: .init(.prefer), help: .init(.prefer)) var prefer: [String] = []

    var given: [SettingName: [String]] {
        [.format: format, .resolveNames: resolveNames, .select: select, .prefer: prefer]
    }
}

struct TargetFlags: FlagGroup {
    @Option(name: .init(.allowTarget), help: .init(.allowTarget)) var allowTarget: [String] = []

    var given: [SettingName: [String]] { [.allowTarget: allowTarget] }
}

struct ForwardFlags: FlagGroup {
    @Option(name: .init(.listen), help: .init(.listen)) var listen: [String] = []

    var given: [SettingName: [String]] { [.listen: listen] }
}

struct RelayFlags: FlagGroup {
    @Option(name: .init(.workers), help: .init(.workers)) var workers: [String] = []
    @Option(name: .init(.maxConnections), help: .init(.maxConnections)) var maxConnections: [String] = []
    @Option(name: .init(.idleTimeout), help: .init(.idleTimeout)) var idleTimeout: [String] = []
    @Option(name: .init(.halfClosedTimeout), help: .init(.halfClosedTimeout)) var halfClosedTimeout: [String] = []
    @Option(name: .init(.socketMode), help: .init(.socketMode)) var socketMode: [String] = []
    @Option(name: .init(.shutdownGrace), help: .init(.shutdownGrace)) var shutdownGrace: [String] = []

    var given: [SettingName: [String]] {
        [
            .workers: workers, .maxConnections: maxConnections, .idleTimeout: idleTimeout,
            .halfClosedTimeout: halfClosedTimeout, .socketMode: socketMode, .shutdownGrace: shutdownGrace,
        ]
    }
}

struct EtcdFlags: FlagGroup {
    @Option(name: .init(.etcd), help: .init(.etcd)) var etcd: [String] = []
    @Option(name: .init(.etcdCA), help: .init(.etcdCA)) var etcdCA: [String] = []
    @Option(name: .init(.etcdCert), help: .init(.etcdCert)) var etcdCert: [String] = []
    @Option(name: .init(.etcdKey), help: .init(.etcdKey)) var etcdKey: [String] = []
    @Option(name: .init(.etcdUser), help: .init(.etcdUser)) var etcdUser: [String] = []
    @Option(name: .init(.etcdPasswordFile), help: .init(.etcdPasswordFile)) var etcdPasswordFile: [String] = []
    @Flag(name: .init(.requireTLS), help: .init(.requireTLS)) var requireTLS = false
    @Option(name: .init(.prefix), help: .init(.prefix)) var prefix: [String] = []
    @Option(name: .init(.layout), help: .init(.layout)) var layout: [String] = []

    var given: [SettingName: [String]] {
        [
            .etcd: etcd, .etcdCA: etcdCA, .etcdCert: etcdCert, .etcdKey: etcdKey, .etcdUser: etcdUser,
            .etcdPasswordFile: etcdPasswordFile, .requireTLS: requireTLS.given, .prefix: prefix, .layout: layout,
        ]
    }
}

struct WatchFlags: FlagGroup {
    @Flag(name: .init(.watch), help: .init(.watch)) var watch = false

    var given: [SettingName: [String]] { [.watch: watch.given] }
}

struct OutputFlags: FlagGroup {
    @Flag(name: .init(.json), help: .init(.json)) var json = false

    var given: [SettingName: [String]] { [.json: json.given] }
}

struct OverrideFlags: FlagGroup {
    @Option(name: .init(.lasts), help: .init(.lasts)) var lasts: [String] = []
    @Option(name: .init(.by), help: .init(.by)) var by: [String] = []

    var given: [SettingName: [String]] { [.lasts: lasts, .by: by] }
}

struct ProbeFlags: FlagGroup {
    @Flag(name: .init(.write), help: .init(.write)) var write = false

    var given: [SettingName: [String]] { [.write: write.given] }
}

struct LogFlags: FlagGroup {
    @Option(name: .init(.logLevel), help: .init(.logLevel)) var logLevel: [String] = []

    var given: [SettingName: [String]] { [.logLevel: logLevel] }
}

extension Bool {
    fileprivate var given: [String] { self ? ["true"] : [] }
}
