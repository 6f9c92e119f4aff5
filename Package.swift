// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import PackageDescription

/// `LEGATION_ONLY=relay` keeps the data plane alone, `LEGATION_ONLY=core` the control plane without gRPC: they build in
/// seconds, which is what makes working on them, and the sanitizers, bearable. Nothing set builds everything.
let only = Context.environment["LEGATION_ONLY"] ?? ""
precondition(["", "relay", "core"].contains(only), "LEGATION_ONLY is \(only); allowed: relay, core or nothing")

/// What `--version` shows, set by the Makefile from Scripts/version. Not `Context.gitInformation`: the manifest's result
/// is cached, and that would name the commit of the day it was first read; the environment is part of the cache's key.
let commit = Context.environment["LEGATION_COMMIT"] ?? "unknown"

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// A worker's state belongs to one thread, and debug builds check each access to it; in a release build these checks were
/// 45 % of the relay's own instructions a message. Unsafe flags in the eyes of the package manager, which only refuses
/// them in products: Relay is in none.
let relaySettings = settings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let relay: [Target] = [
    .target(name: "ServiceModel", swiftSettings: settings),
    .target(name: "CLinux", cSettings: [.define("LEGATION_COMMIT", to: "\"\(commit)\"")]),
    .target(name: "Relay", dependencies: ["ServiceModel", "CLinux"], swiftSettings: relaySettings),
    // An instrument: the relay alone in a process, for callgrind and for figures of memory.
    .executableTarget(name: "relay-alone", dependencies: ["Relay", "ServiceModel"], swiftSettings: settings),
    .testTarget(name: "ServiceModelTests", dependencies: ["ServiceModel"], swiftSettings: settings),
    .testTarget(name: "RelayTests", dependencies: ["Relay", "ServiceModel", "CLinux"], swiftSettings: settings),
]

let core: [Target] = [
    .target(name: "Registry", dependencies: ["ServiceModel"], swiftSettings: settings),
    .target(
        name: "Docker",
        dependencies: [
            "ServiceModel", log,
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: settings
    ),
    .target(
        name: "Registration", dependencies: ["Docker", "Registry", "ServiceModel", log], swiftSettings: settings
    ),
    .target(name: "Discovery", dependencies: ["Registry", "ServiceModel", log], swiftSettings: settings),
    .target(
        name: "TestSupport",
        dependencies: [
            "Registry", "ServiceModel", "CLinux", log,
            .product(name: "Subprocess", package: "swift-subprocess"),
            .product(name: "SystemPackage", package: "swift-system"),
        ],
        swiftSettings: settings
    ),
    .testTarget(
        name: "RegistryTests", dependencies: ["Registry", "ServiceModel", "TestSupport"], swiftSettings: settings
    ),
    .testTarget(
        name: "DockerTests", dependencies: ["Docker", "ServiceModel", "TestSupport", log], exclude: ["Fixtures"],
        swiftSettings: settings
    ),
    .testTarget(
        name: "RegistrationTests",
        dependencies: ["Docker", "Registration", "Registry", "ServiceModel", "TestSupport", log],
        swiftSettings: settings
    ),
    .testTarget(
        name: "DiscoveryTests", dependencies: ["Discovery", "Registry", "ServiceModel", "TestSupport", log],
        swiftSettings: settings
    ),
]
let coreDependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
]

let etcdTransport: [Target.Dependency] = [
    .product(name: "GRPCCore", package: "grpc-swift-2"),
    .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
    .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
    .product(name: "SwiftProtobuf", package: "swift-protobuf"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let whole: [Target] = [
    .target(
        name: "EtcdProtos",
        dependencies: [
            .product(name: "GRPCCore", package: "grpc-swift-2"),
            .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
            .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        ],
        swiftSettings: [.swiftLanguageMode(.v6)]
    ),
    .target(
        name: "Etcd", dependencies: ["EtcdProtos", log] + etcdTransport, exclude: ["README.md"], swiftSettings: settings
    ),
    .target(
        name: "RegistryEtcd", dependencies: ["Etcd", "Registry", "ServiceModel", log], swiftSettings: settings
    ),
    .target(
        name: "Daemon",
        dependencies: [
            "ServiceModel", "Docker", "Registry", "RegistryEtcd", "Etcd", "Registration", "Discovery", "Relay",
            "CLinux",
            log,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "SystemPackage", package: "swift-system"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ],
        swiftSettings: settings
    ),
    .executableTarget(
        name: "legation",
        dependencies: ["Daemon", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        swiftSettings: settings
    ),
    // An instrument of tests and soak: what the client makes of a cluster, for everybody to see.
    .executableTarget(
        name: "etcd-mirror",
        dependencies: ["Etcd", log, .product(name: "ArgumentParser", package: "swift-argument-parser")],
        swiftSettings: settings
    ),
    .testTarget(
        name: "EtcdTests",
        dependencies: [
            "Etcd", "EtcdProtos", "TestSupport", log,
            .product(name: "NIOEmbedded", package: "swift-nio"),
        ] + etcdTransport,
        swiftSettings: settings
    ),
    .testTarget(
        name: "DaemonTests",
        dependencies: [
            "legation", "Daemon", "Discovery", "Docker", "Etcd", "Registration", "Registry", "ServiceModel", "Relay",
            "TestSupport", log,
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: settings
    ),
    .testTarget(
        name: "IntegrationTests",
        dependencies: ["TestSupport", "Registration", "Registry", "RegistryEtcd", "Etcd", "ServiceModel", log],
        swiftSettings: settings
    ),
]
let wholeDependencies: [Package.Dependency] = [
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    // Without traits: the defaults pull the whole of Foundation, and with it 20 MB of ICU data, into the binary.
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
]

let package = Package(
    name: "legation",
    products: only.isEmpty
        ? [
            .executable(name: "legation", targets: ["legation"]),
            .library(name: "Etcd", targets: ["Etcd"]),
            .library(name: "EtcdProtos", targets: ["EtcdProtos"]),
        ] : [],
    dependencies: only == "relay" ? [] : coreDependencies + (only == "core" ? [] : wholeDependencies),
    targets: only == "relay" ? relay : relay + core + (only == "core" ? [] : whole)
)
