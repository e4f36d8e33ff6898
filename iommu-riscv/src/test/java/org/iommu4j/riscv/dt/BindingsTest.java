// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.dt;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.DeviceTree.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What Linux makes of nodes: devices with names and addresses, wires, segments, and ids behind units. */
class BindingsTest {
    private static final long UNIT = 7;

    private static TreeBytes root() {
        return new TreeBytes().words("#address-cells", 2).words("#size-cells", 1);
    }

    private static Node node(DeviceTree tree, String path) {
        return tree.nodes().stream()
                .filter(node -> node.path().equals(path))
                .findFirst()
                .orElseThrow();
    }

    /** {@code board.dts}, which lies beside, says what is in it. */
    @Test
    void aTreeThatACompilerMadeIsRead() throws IOException {
        DeviceTree tree;
        try (InputStream in = Objects.requireNonNull(BindingsTest.class.getResourceAsStream("board.dtb"))) {
            tree = DeviceTree.parse(in.readAllBytes());
        }
        assertThat(tree.reservations()).containsExactly(new DeviceTree.Reservation(0x8000_0000L, 0x4_0000));
        Map<String, PlatformDevice> devices = new HashMap<>();
        PlatformDevice.of(tree).forEach(device -> devices.put(device.name(), device));
        assertThat(devices)
                .containsOnlyKeys(
                        "soc",
                        "158000000.interrupt-controller",
                        "14d000000.interrupt-controller",
                        "143010000.iommu",
                        "143020000.iommu",
                        "30000000.pci",
                        "144000000.dma");
        PlatformDevice first = devices.get("143010000.iommu");
        PlatformDevice second = devices.get("143020000.iommu");
        assertThat(List.of(first.wires(tree), second.wires(tree))).containsExactly(3, 1);
        assertThat(List.of(first.hasMessages(tree), second.hasMessages(tree))).containsExactly(false, true);
        assertThat(devices.get("144000000.dma").destinations(tree))
                .containsExactly(new Destination(first.node(), 0x20000), new Destination(first.node(), 0x20001));
        PciHost host = PciHost.of(tree).get(0);
        assertThat(host.segment()).isEqualTo(2);
        assertThat(host.map(tree, 0xff)).contains(new Destination(first.node(), 0xff));
        assertThat(host.map(tree, 0x208)).contains(new Destination(second.node(), 0x8108));
    }

    // --- platform devices ---

    private static List<String> names(TreeBytes tree) {
        return PlatformDevice.of(DeviceTree.parse(tree.tree())).stream()
                .map(PlatformDevice::name)
                .toList();
    }

    @Test
    void devicesAreTheNodesOfTheRootAndOfBusesThatNeedNoDriver() {
        TreeBytes tree = root().begin("soc")
                .text("compatible", "acme,soc", "simple-bus")
                .words("ranges")
                .begin("dma@1000")
                .text("compatible", "acme,dma")
                .words("reg", 0, 0x1000, 0x100)
                .begin("below")
                .text("compatible", "acme,channel")
                .end()
                .end()
                .begin("nothing")
                .end()
                .begin("off@2000")
                .text("compatible", "acme,off")
                .text("status", "disabled")
                .words("reg", 0, 0x2000, 0x100)
                .end()
                .end()
                .begin("i2c@5000")
                .text("compatible", "acme,i2c")
                .words("reg", 1, 0x5000, 0x100)
                .end();
        assertThat(names(tree)).containsExactly("soc", "1000.dma", "100005000.i2c");
    }

    @Test
    void aNameHasThePathUpToTheFirstAddress() {
        TreeBytes tree = root().begin("soc")
                .text("compatible", "simple-bus")
                .begin("dma@7")
                .text("compatible", "acme,dma")
                .words("reg", 0, 7, 1)
                .end()
                .begin("timer")
                .text("compatible", "acme,timer")
                .end()
                .end()
                .begin("bus@80000000")
                .text("compatible", "simple-bus")
                .words("reg", 0, 0x80000000L, 0x1000)
                .begin("timer")
                .text("compatible", "acme,timer")
                .end()
                .end();
        assertThat(names(tree)).containsExactly("soc", "soc:dma@7", "soc:timer", "80000000.bus", "80000000.bus:timer");
    }

    @Test
    void anAddressGoesThroughTheRangesOfEachBus() {
        TreeBytes tree = root().begin("soc")
                .text("compatible", "simple-bus")
                .words("#address-cells", 1)
                .words("#size-cells", 1)
                .words("ranges", 0x1000, 1, 0x40000000L, 0x1000, 0x3000, 0, 0x9000, 0x10)
                .begin("a@1ff0")
                .text("compatible", "a")
                .words("reg", 0x1ff0, 1)
                .end()
                .begin("b@2000")
                .text("compatible", "b")
                .words("reg", 0x2000, 1)
                .end()
                .begin("c@300f")
                .text("compatible", "c")
                .words("reg", 0x300f, 1)
                .end()
                .begin("d")
                .text("compatible", "d")
                .words("reg")
                .end()
                .end();
        assertThat(PlatformDevice.of(DeviceTree.parse(tree.tree())))
                .extracting(PlatformDevice::base)
                .containsExactly(
                        OptionalLong.empty(),
                        OptionalLong.of(0x1_4000_0ff0L),
                        OptionalLong.empty(),
                        OptionalLong.of(0x900f),
                        OptionalLong.empty());
    }

    @Test
    void wiresAreCountedByTheCellsOfTheirController() {
        DeviceTree tree = DeviceTree.parse(root().begin("plic")
                .words("phandle", 1)
                .words("#interrupt-cells", 2)
                .end()
                .begin("soc")
                .text("compatible", "simple-bus")
                .words("interrupt-parent", 1)
                .begin("inherits")
                .text("compatible", "x")
                .words("interrupts", 32, 4, 33, 4, 34)
                .end()
                .begin("own")
                .text("compatible", "x")
                .words("interrupt-parent", 9)
                .words("interrupts", 32, 4)
                .end()
                .begin("extended")
                .text("compatible", "x")
                .words("interrupts", 1, 1, 1, 1, 1, 1)
                .words("interrupts-extended", 1, 32, 4, 1, 33, 4, 1)
                .words("msi-parent", 1)
                .end()
                .begin("none")
                .text("compatible", "x")
                .words("msi-parent", 9)
                .end()
                .end()
                .tree());
        List<PlatformDevice> devices = PlatformDevice.of(tree);
        assertThat(devices).extracting(device -> device.wires(tree)).containsExactly(0, 2, 0, 2, 0);
        assertThat(devices)
                .extracting(device -> device.hasMessages(tree))
                .containsExactly(false, false, false, true, false);
    }

    @Test
    void idsOfADeviceAreReadUpToTheFirstThatLeadsNowhere() {
        DeviceTree tree = DeviceTree.parse(root().begin("unit")
                .words("phandle", UNIT)
                .words("#iommu-cells", 1)
                .end()
                .begin("plain")
                .words("phandle", 8)
                .end()
                .begin("a")
                .text("compatible", "x")
                .words("iommus", UNIT, 5, UNIT, 6, 8, UNIT, 7)
                .end()
                .begin("b")
                .text("compatible", "x")
                .words("iommus", UNIT)
                .end()
                .begin("c")
                .text("compatible", "x")
                .words("iommus", 0, UNIT, 5)
                .end()
                .tree());
        assertThat(PlatformDevice.of(tree))
                .extracting(device -> device.destinations(tree).stream()
                        .map(Destination::deviceId)
                        .toList())
                .containsExactly(List.of(5L, 6L), List.of(), List.of());
    }

    // --- PCI ---

    private static TreeBytes pci(TreeBytes tree, String name) {
        return tree.begin(name).text("compatible", "pci-host-ecam-generic").text("device_type", "pci");
    }

    @Test
    void aHostBridgeWithoutASegmentHasTheFirstThatNoneHas() {
        TreeBytes tree = pci(root(), "pci@1").end();
        pci(tree, "pci@2").words("linux,pci-domain", 0).end();
        pci(tree, "pci@3")
                .text("status", "disabled")
                .words("linux,pci-domain", 1)
                .end();
        pci(tree, "pci@4").end();
        pci(tree, "pci@5").words("linux,pci-domain", 7).begin("pci@0,0").text("device_type", "pci");
        tree.text("compatible", "pci1234,5678").end().end();
        List<PciHost> hosts = PciHost.of(DeviceTree.parse(tree.tree()));
        assertThat(hosts).extracting(host -> host.node().name()).containsExactly("pci@1", "pci@2", "pci@4", "pci@5");
        assertThat(hosts).extracting(PciHost::segment).containsExactly(1, 0, 2, 7);
    }

    /** The first entry that has the id, without bits that do not count. */
    @ParameterizedTest
    @CsvSource({
        "0, 0x8000",
        "0xff, 0x80ff",
        "0x100, 0x20000",
        "0x17f, 0x2007f",
        "0x180, -1",
        "0x200, 0xffffffff",
        "0x201, 0",
        "0x10200, -1"
    })
    void anIdIsMappedByTheFirstEntryThatHasIt(String id, String deviceId) {
        TreeBytes bytes = pci(root(), "pci@1")
                .words("iommu-map", 0, UNIT, 0x8000, 0x100, 0x100, UNIT, 0x20000, 0x80, 0x200, UNIT, 0xffffffffL, 2)
                .end()
                .begin("unit")
                .words("phandle", UNIT)
                .end();
        DeviceTree tree = DeviceTree.parse(bytes.tree());
        PciHost host = PciHost.of(tree).get(0);
        assertThat(host.map(tree, Long.decode(id)).map(Destination::deviceId).orElse(-1L))
                .isEqualTo(Long.decode(deviceId));
    }

    @Test
    void aMaskLeavesBitsOut() {
        TreeBytes bytes = pci(root(), "pci@1")
                .words("iommu-map-mask", 0xfff8)
                .words("iommu-map", 0, UNIT, 0x40, 0x100, 0x101, UNIT, 0, 0x100)
                .end()
                .begin("unit")
                .words("phandle", UNIT)
                .end();
        DeviceTree tree = DeviceTree.parse(bytes.tree());
        PciHost host = PciHost.of(tree).get(0);
        assertThat(host.map(tree, 0x0f).orElseThrow().deviceId()).isEqualTo(0x48);
        assertThat(host.map(tree, 0x107))
                .as("behind an entry that begins with bits that are left out")
                .isEmpty();
        assertThat(host.source(tree, node(tree, "/unit"), 0x48))
                .as("one of eight")
                .isEmpty();
    }

    @Test
    void entriesThatAreNotWholeOrLeadNowhereMapNothing() {
        TreeBytes bytes =
                pci(root(), "pci@1").words("iommu-map", 0, UNIT, 0, 0x100, 0).end();
        pci(bytes, "pci@2").words("iommu-map", 0, 9, 0, 0x100).end();
        pci(bytes, "pci@3").words("iommu-map").end();
        bytes.begin("unit").words("phandle", UNIT).end();
        DeviceTree tree = DeviceTree.parse(bytes.tree());
        assertThat(PciHost.of(tree))
                .allSatisfy(host -> assertThat(host.map(tree, 8)).isEmpty());
    }

    @Test
    void theFunctionOfAnIdIsFoundByTheEntryThatMapsIt() {
        TreeBytes bytes = pci(root(), "pci@1")
                .words("iommu-map", 0, UNIT, 0x8000, 0x100, 0x80, UNIT, 0x9000, 0x100)
                .end()
                .begin("unit")
                .words("phandle", UNIT)
                .end()
                .begin("other")
                .words("phandle", 8)
                .end();
        DeviceTree tree = DeviceTree.parse(bytes.tree());
        PciHost host = PciHost.of(tree).get(0);
        Node unit = node(tree, "/unit");
        assertThat(host.source(tree, unit, 0x80ff)).isEqualTo(OptionalInt.of(0xff));
        assertThat(host.source(tree, unit, 0x9080)).isEqualTo(OptionalInt.of(0x100));
        assertThat(host.source(tree, unit, 0x9000))
                .as("an earlier entry has it")
                .isEmpty();
        assertThat(host.source(tree, unit, 0x8100)).isEmpty();
        assertThat(host.source(tree, node(tree, "/other"), 0x8000)).isEmpty();
    }
}
