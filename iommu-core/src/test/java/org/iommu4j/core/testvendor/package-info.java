// SPDX-License-Identifier: Apache-2.0

/** A small vendor that keeps its tables in Java arrays, and PCI functions made by hand, for the tests of core. */
package org.iommu4j.core.testvendor;
