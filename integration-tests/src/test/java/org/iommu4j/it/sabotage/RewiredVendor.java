// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.sabotage;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;

/**
 * A vendor whose driver gets other ports, or whose opened driver has something in front.
 *
 * @param vendor the real one
 * @param ports what the driver gets in place of the machine's ports
 * @param front what callers get in place of the driver
 */
public record RewiredVendor(IommuVendor vendor, UnaryOperator<VendorContext> ports, UnaryOperator<Iommu> front)
        implements IommuVendor {

    /** Returns all vendors of the path, rewired. */
    public static IommuVendors all(UnaryOperator<VendorContext> ports, UnaryOperator<Iommu> front) {
        return IommuVendors.of(IommuVendors.load().all().stream()
                .map(vendor -> new RewiredVendor(vendor, ports, front))
                .toList());
    }

    @Override
    public String name() {
        return vendor.name();
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return vendor.claims(firmware);
    }

    @Override
    public boolean claims(FirmwareTables firmware, LinuxRelease release) {
        return vendor.claims(firmware, release);
    }

    @Override
    public boolean supports(LinuxRelease release) {
        return vendor.supports(release);
    }

    @Override
    public List<ReleaseRule<?>> releaseRules() {
        return vendor.releaseRules();
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        return vendor.describe(facts, release);
    }

    @Override
    public Iommu open(VendorContext context) {
        return front.apply(vendor.open(ports.apply(context)));
    }

    /**
     * Puts a front before a driver, in which domains that are made for one device map nothing and say that they did.
     */
    public static Iommu withoutMappingsFor(Iommu iommu, PciAddress unheard) {
        return new Front(iommu, unheard).iommu;
    }

    /** Devices and domains that name the front as their driver. */
    private static final class Front {
        private final PciAddress unheard;
        private final Map<DeviceId, IommuDevice> shown = new HashMap<>();
        private final Map<DeviceId, IommuDevice> real = new HashMap<>();
        private final Iommu iommu;

        private Front(Iommu behind, PciAddress unheard) {
            this.unheard = unheard;
            this.iommu = proxy(Iommu.class, behind, "");
        }

        private <T> T proxy(Class<T> type, Object behind, String ignored) {
            InvocationHandler handler = (self, method, arguments) -> {
                if (method.getName().equals("equals")) {
                    return self == arguments[0];
                }
                if (method.getName().equals("iommu")) {
                    return iommu;
                }
                return method.getName().equals(ignored)
                        ? null
                        : shown(call(behind, method, realArguments(arguments)), arguments);
            };
            return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
        }

        private Object shown(Object result, Object[] arguments) {
            if (result instanceof Optional<?> found && found.orElse(null) instanceof IommuDevice device) {
                real.put(device.id(), device);
                return Optional.of(shown.computeIfAbsent(device.id(), unused -> proxy(IommuDevice.class, device, "")));
            }
            if (result instanceof IommuDomain domain) {
                boolean heard = !((IommuDevice) arguments[1]).id().equals(unheard);
                return proxy(IommuDomain.class, domain, heard ? "" : "map");
            }
            return result;
        }

        private Object[] realArguments(Object[] arguments) {
            Object[] result = arguments == null ? new Object[0] : arguments.clone();
            for (int i = 0; i < result.length; i++) {
                if (result[i] instanceof IommuDevice device) {
                    result[i] = real.get(device.id());
                }
            }
            return result;
        }

        private static Object call(Object target, Method method, Object[] arguments) throws Throwable {
            try {
                return method.invoke(target, arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }
    }
}
