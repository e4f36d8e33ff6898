// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.StringReader;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * Reads what {@code virsh nodedev-dumpxml} prints for PCI functions: any number of {@code <device>} elements, with
 * other text between them.
 *
 * <p>Each element is parsed by itself, without a document type, entities or anything from outside. Source: libvirt,
 * {@code docs/formatnode.rst}, {@code src/conf/node_device_conf.c}.
 */
final class NodeDeviceReader {
    private static final String BEGIN = "<device>";
    private static final String END = "</device>";
    private static final String DEVICE = "device";
    private static final String PCI = "device/capability";
    private static final Pattern NAME = Pattern.compile("pci_([0-9a-f]{4})_([0-9a-f]{2})_([01][0-9a-f])_([0-7])");
    private static final Pattern DECIMAL = Pattern.compile("\\d{1,5}");
    private static final Pattern HEX = Pattern.compile("0x([0-9a-fA-F]{1,8})");

    private final Source source;
    private final EvidenceBuilder host;
    private final XMLInputFactory factory = factory();
    private final Set<PciAddress> functions = new HashSet<>();
    private final Map<PciAddress, PciAddress> bridges = new HashMap<>();

    private NodeDeviceReader(Source source, EvidenceBuilder host) {
        this.source = source;
        this.host = host;
    }

    private static XMLInputFactory factory() {
        XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        factory.setProperty(XMLInputFactory.IS_REPLACING_ENTITY_REFERENCES, false);
        factory.setProperty(XMLInputFactory.IS_COALESCING, true);
        factory.setXMLResolver((publicId, systemId, baseUri, namespace) -> {
            throw new XMLStreamException("nothing from outside is read");
        });
        return factory;
    }

    /** Returns whether a line is the name of a PCI function. */
    static boolean recognises(String line) {
        return line.contains("<name>pci_");
    }

    /**
     * Reads devices; one that is no XML is left out with a warning.
     *
     * @return how many functions there are
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        NodeDeviceReader reader = new NodeDeviceReader(source, host);
        StringBuilder device = null;
        for (String line : lines) {
            int begin = line.indexOf(BEGIN);
            if (begin >= 0) {
                device = new StringBuilder();
            }
            if (device != null) {
                int end = line.indexOf(END);
                device.append(line, Math.max(begin, 0), end < 0 ? line.length() : end + END.length())
                        .append('\n');
                if (end >= 0) {
                    reader.device(device.toString());
                    device = null;
                }
            }
        }
        return reader.record();
    }

    private void device(String xml) {
        Device device = new Device();
        try {
            XMLStreamReader events = factory.createXMLStreamReader(new StringReader(xml));
            Deque<String> path = new ArrayDeque<>();
            while (events.hasNext()) {
                int event = events.next();
                if (event == XMLStreamConstants.START_ELEMENT) {
                    String name = events.getLocalName();
                    path.addLast(path.isEmpty() ? name : path.getLast() + "/" + name);
                    device.begin(path.getLast(), events);
                } else if (event == XMLStreamConstants.END_ELEMENT) {
                    path.removeLast();
                } else if (event == XMLStreamConstants.CHARACTERS && !path.isEmpty()) {
                    device.text(path.getLast(), events.getText().strip());
                }
            }
        } catch (XMLStreamException e) {
            host.warn(source + ": a device is no XML of virsh that can be read, and is ignored");
            return;
        }
        device.record();
    }

    private int record() {
        bridges.forEach((function, above) -> {
            if (functions.contains(above)) {
                host.function(function).bridge(above, source);
            }
        });
        host.listing(Listings.Kind.FUNCTIONS, functions, source);
        return functions.size();
    }

    /** What one element says; paths are those of elements, from the device down. */
    private final class Device {
        private final Map<String, String> texts = new HashMap<>();
        private final Map<String, String> attributes = new HashMap<>();
        private final Set<PciAddress> ofGroup = new HashSet<>();
        private @Nullable PciAddress physical;
        private String kind = "";

        private void begin(String path, XMLStreamReader element) {
            for (int i = 0; i < element.getAttributeCount(); i++) {
                attributes.putIfAbsent(
                        path + "@" + element.getAttributeLocalName(i),
                        TextLines.printable(element.getAttributeValue(i)));
            }
            if (path.equals(PCI + "/capability")) {
                kind = String.valueOf(element.getAttributeValue(null, "type"));
            }
            PciAddress address = path.endsWith("/address") ? address(element) : null;
            if (address != null && path.equals(PCI + "/iommuGroup/address")) {
                ofGroup.add(address);
            } else if (address != null && path.equals(PCI + "/capability/address") && kind.equals("phys_function")) {
                physical = address;
            }
        }

        private void text(String path, String text) {
            if (!text.isEmpty()) {
                texts.putIfAbsent(path, TextLines.printable(text));
            }
        }

        private void record() {
            PciAddress address = address(
                    number(texts.get(PCI + "/domain")),
                    number(texts.get(PCI + "/bus")),
                    number(texts.get(PCI + "/slot")),
                    number(texts.get(PCI + "/function")));
            if (!"pci".equals(attributes.get(PCI + "@type"))) {
                return; // of a bus, a network card or a disk
            }
            if (address == null) {
                host.warn(source + ": device '" + texts.getOrDefault(DEVICE + "/name", "")
                        + "' has no address of four digits for its domain, and is ignored");
                return;
            }
            functions.add(address);
            FunctionFacts function = host.function(address);
            int code = number(texts.get(PCI + "/class"));
            if (code >= 0) {
                function.classCode(code >> 8, source);
            }
            ids(function);
            String driver = texts.get(DEVICE + "/driver/name");
            if (driver != null) {
                function.driver(driver, source);
            }
            group();
            if (physical != null && !physical.equals(address)) {
                function.physicalFunction(physical, source);
            }
            place(function);
        }

        private void ids(FunctionFacts function) {
            int vendor = number(attributes.get(PCI + "/vendor@id"));
            int product = number(attributes.get(PCI + "/product@id"));
            if (vendor >= 0 && product >= 0) {
                function.vendorId(vendor & 0xffff, source).deviceId(product & 0xffff, source);
            }
            String name =
                    (texts.getOrDefault(PCI + "/vendor", "") + " " + texts.getOrDefault(PCI + "/product", "")).strip();
            if (!name.isEmpty()) {
                function.name(name, source);
            }
        }

        private void group() {
            int group = number(attributes.get(PCI + "/iommuGroup@number"));
            if (group >= 0) {
                ofGroup.forEach(member -> host.function(member).group(group, source));
            }
        }

        private void place(FunctionFacts function) {
            String parent = texts.getOrDefault(DEVICE + "/parent", "");
            Matcher above = NAME.matcher(parent);
            if (above.matches()) {
                bridges.put(
                        function.address(),
                        PciAddress.parse(
                                above.group(1) + ":" + above.group(2) + ":" + above.group(3) + "." + above.group(4)));
            } else if (parent.equals("computer")) {
                function.onRootBus(source);
            }
        }
    }

    private static @Nullable PciAddress address(XMLStreamReader element) {
        return address(
                number(element.getAttributeValue(null, "domain")),
                number(element.getAttributeValue(null, "bus")),
                number(element.getAttributeValue(null, "slot")),
                number(element.getAttributeValue(null, "function")));
    }

    private static @Nullable PciAddress address(int domain, int bus, int slot, int function) {
        boolean valid = domain >= 0 && domain <= 0xffff && bus >= 0 && bus <= 0xff && slot >= 0 && slot <= 0x1f;
        return valid && function >= 0 && function <= 7 ? new PciAddress(domain, bus, slot, function) : null;
    }

    /** Returns a number that libvirt prints, decimal or with {@code 0x}; -1 where it is none. */
    private static int number(@Nullable String text) {
        if (text == null) {
            return -1;
        }
        Matcher hex = HEX.matcher(text);
        if (hex.matches()) {
            return (int) Math.min(Integer.MAX_VALUE, Long.parseLong(hex.group(1), 16));
        }
        return DECIMAL.matcher(text).matches() ? Integer.parseInt(text) : -1;
    }
}
