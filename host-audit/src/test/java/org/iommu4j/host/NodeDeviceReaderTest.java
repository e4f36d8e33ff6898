// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NodeDeviceReaderTest {
    private static final PciAddress PORT = PciAddress.parse("00:1c.0");
    private static final PciAddress CARD = PciAddress.parse("04:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("04:10.1");

    private static final String PORT_XML = """
            <device>
              <name>pci_0000_00_1c_0</name>
              <path>/sys/devices/pci0000:00/0000:00:1c.0</path>
              <parent>computer</parent>
              <driver>
                <name>pcieport</name>
              </driver>
              <capability type='pci'>
                <class>0x060400</class>
                <domain>0</domain>
                <bus>0</bus>
                <slot>28</slot>
                <function>0</function>
                <product id='0xa110'>Port &amp; Bridge</product>
                <vendor id='0x8086'>Maker</vendor>
                <capability type='pci-bridge'/>
                <iommuGroup number='6'>
                  <address domain='0x0000' bus='0x00' slot='0x1c' function='0x0'/>
                </iommuGroup>
              </capability>
            </device>
            """;

    private static final String CARD_XML = """
            <device>
              <name>pci_0000_04_00_0</name>
              <parent>pci_0000_00_1c_0</parent>
              <driver>
                <name>vfio-pci</name>
              </driver>
              <capability type='pci'>
                <class>0x020000</class>
                <domain>0</domain>
                <bus>4</bus>
                <slot>0</slot>
                <function>0</function>
                <product id='0x10d3'/>
                <vendor id='0x8086'>Maker</vendor>
                <capability type='virt_functions' maxCount='7'>
                  <address domain='0x0000' bus='0x04' slot='0x10' function='0x1'/>
                </capability>
                <iommuGroup number='7'>
                  <address domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
                  <address domain='0x0000' bus='0x04' slot='0x00' function='0x1'/>
                </iommuGroup>
                <numa node='0'/>
              </capability>
            </device>
            """;

    private static final String VIRTUAL_XML = """
            <device>
              <name>pci_0000_04_10_1</name>
              <parent>pci_0000_00_1c_0</parent>
              <capability type='pci'>
                <domain>0</domain>
                <bus>4</bus>
                <slot>16</slot>
                <function>1</function>
                <product id='0x10ed'/>
                <vendor id='0x8086'/>
                <capability type='phys_function'>
                  <address domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
                </capability>
              </capability>
            </device>
            """;

    @TempDir
    private Path folder;

    private HostEvidence read(String text) throws IOException {
        return HostInputs.withInstalledVendors()
                .path(Files.writeString(folder.resolve("nodedev.xml"), text))
                .read();
    }

    @Test
    void devicesTellDriversGroupsIdsAndTheBridgeAbove() throws IOException {
        HostEvidence host = read("# for d in $(virsh nodedev-list --cap pci); do virsh nodedev-dumpxml $d; done\n"
                + PORT_XML + "\n" + CARD_XML + "\n" + VIRTUAL_XML);
        FunctionEvidence port = host.function(PORT).orElseThrow();
        FunctionEvidence card = host.function(CARD).orElseThrow();
        assertThat(port.classCode()).hasValue(0x0604);
        assertThat(port.name()).contains("Maker Port & Bridge");
        assertThat(card.name()).contains("Maker");
        assertThat(card.deviceId()).hasValue(0x10d3);
        assertThat(card.driver().map(Fact::value)).contains("vfio-pci");
        assertThat(card.upstreamBridge()).contains(PORT);
        assertThat(host.groups().get(6).members()).containsExactly(PORT);
        assertThat(host.groups().get(7).members()).containsExactly(CARD, PciAddress.parse("04:00.1"));
        FunctionEvidence virtual = host.function(VIRTUAL).orElseThrow();
        assertThat(virtual.physicalFunction()).contains(CARD);
        assertThat(virtual.group()).isEmpty();
        assertThat(virtual.driver()).isEmpty();
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aParentThatIsNotAmongTheDevicesPlacesNothing() throws IOException {
        HostEvidence host = read(CARD_XML);
        assertThat(host.function(CARD).orElseThrow().upstreamBridge()).isEmpty();
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void devicesThatAreNoFunctionsAreNone() throws IOException {
        HostEvidence host = read(CARD_XML
                + CARD_XML.replace("type='pci'", "type='net'")
                        .replace("pci_0000_04_00_0", "net_eth0")
                        .replace("<bus>4</bus>", "<bus>5</bus>"));
        assertThat(host.functions())
                .extracting(FunctionEvidence::address)
                .contains(CARD)
                .hasSize(2);
    }

    @Test
    void whatIsNoXmlIsLeftOutWithAWarning() throws IOException {
        HostEvidence host = read(PORT_XML + CARD_XML.replace("</capability>", ""));
        assertThat(host.function(CARD)).isEmpty();
        assertThat(host.warnings())
                .containsExactly("nodedev.xml: a device is no XML of virsh that can be read, and is ignored");
        HostEvidence domain = read(PORT_XML + CARD_XML.replace("<domain>0<", "<domain>65536<"));
        assertThat(domain.warnings()).singleElement().asString().contains("'pci_0000_04_00_0' has no address");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> read("<device>\n<name>pci_0000_04_00_0</name>\n"))
                .withMessageContaining("holds no whole device");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "<!DOCTYPE device [<!ENTITY e SYSTEM \"file:///etc/hostname\">]>",
                "<!DOCTYPE device [<!ENTITY e \"text\">]>",
                "<!DOCTYPE device SYSTEM \"http://localhost:1/device.dtd\">",
                ""
            })
    void entitiesAndDocumentTypesAreNotFollowed(String type) throws IOException {
        HostEvidence host = read(type + "\n" + PORT_XML + CARD_XML.replace(">Maker<", ">&e;<"));
        assertThat(host.function(PORT).orElseThrow().name()).contains("Maker Port & Bridge");
        host.function(CARD).ifPresent(card -> assertThat(card.name().orElse("")).isEmpty());
        HostEvidence inside = read(PORT_XML + CARD_XML.replace("<device>", "<device>" + type + "<!-- -->"));
        assertThat(inside.function(PORT)).isPresent();
        assertThat(inside.function(CARD).isPresent()).isEqualTo(type.isEmpty());
    }
}
